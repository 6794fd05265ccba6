#!/bin/sh
exec tests/vm/suite 5.10 core
