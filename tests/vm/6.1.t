#!/bin/sh
exec tests/vm/suite 6.1 all
