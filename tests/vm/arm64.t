#!/bin/sh
exec tests/vm/suite arm64 core
