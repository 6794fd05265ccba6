#!/bin/sh
exec tests/vm/suite newest core
