#!/usr/bin/env python3
"""Events that cannot be recorded: names, fields, filters, rights, what a kernel lacks."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from badinput import *

run([near_names, fields, filters, twice, many, rights, enough_rights, unprivileged_list, no_types,
     no_tracefs, strange_format, pid_namespace, no_cgroup2, kernel_functions, all_functions])
