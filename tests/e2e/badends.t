#!/usr/bin/env python3
"""Files that cannot be probed, limits that are met, targets and recorders that end."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from badinput import *

run([library_globs, progress_line, files, open_files, little_memory, many_without_rights,
     target_exits, full_disk, killed])
