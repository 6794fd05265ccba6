#!/bin/sh
# One CPU: two of them that change code while they run it stall where all is emulated.
export KYMO_VM_CPUS=1 KYMO_VM_SECONDS=600 KYMO_VM_TESTS=tests/vm/guest/graph.t
exec tests/vm/suite newest rare
