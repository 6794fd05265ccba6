#!/bin/sh
# One CPU: this kernel changes code in a way that two of them do not survive where all is
# emulated.
export KYMO_VM_CPUS=1
exec tests/vm/suite newest core
