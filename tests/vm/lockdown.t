#!/bin/sh
KYMO_VM_TESTS=tests/vm/guest/lockdown.t exec tests/vm/suite 6.1 core lockdown=confidentiality
