#!/bin/sh
exec tests/vm/suite 6.12 core
