#!/bin/sh
KYMO_VM_PART='tests/[ev]*' exec tests/vm/suite 6.1 all
