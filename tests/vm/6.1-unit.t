#!/bin/sh
KYMO_VM_PART='tests/unit/*' exec tests/vm/suite 6.1 all
