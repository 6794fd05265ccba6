#!/usr/bin/env python3
"""What the README and the manual pages tell people to type exists."""

import glob
import os
import re
import subprocess

KYMO = os.environ["KYMO"]
results = []


def check(name, problems):
    results.append((name, sorted(problems)))


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def readme_blocks():
    with open("README.md", encoding="utf-8") as f:
        text = f.read()
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.split("\n")]


def page_examples():
    lines = []
    for path in glob.glob("Documentation/*.1"):
        with open(path, encoding="utf-8") as f:
            for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", f.read(), re.M | re.S):
                lines += block.replace("\\e\n", " ").replace("\\-", "-").split("\n")
    return lines


def check_commands(name, lines, help_of):
    problems, nr = set(), 0
    for line in lines:
        for piece in re.split(r"[|;&]+", line):
            words = piece.split()
            while words and words[0] in ("$", "#", "sudo"):
                words.pop(0)
            if words[:1] == ["ssh"]:
                words = words[2:]
            if len(words) < 2 or os.path.basename(words[0]) != "kymo":
                continue
            command = words[1]
            nr += 1
            if command in ("help", "--version"):
                continue
            if command not in help_of:
                problems.add(f"no command '{command}': {line.strip()}")
                continue
            for word in words[2:]:
                if word == "--":
                    break
                option = re.fullmatch(r"(--[\w-]+|-\w)(=.*)?", word)
                if option and not re.search(rf"(^|\s){re.escape(option.group(1))}[\s,\[]",
                                            help_of[command]):
                    problems.add(f"no option {option.group(1)}: {line.strip()}")
    check(f"{name}: {nr} commands, each there with its options", problems if nr else {"none found"})


def check_targets(lines):
    problems, nr = set(), 0
    for line in lines:
        words = line.split("#")[0].split()
        if words[:1] in (["$"], ["sudo"]):
            words = words[1:]
        if words[:1] != ["make"]:
            continue
        nr += 1
        targets = [w for w in words[1:] if "=" not in w and not w.startswith("-")]
        for target in targets:
            with open("Makefile", encoding="utf-8") as f:
                if not re.search(rf"^{re.escape(target)}:", f.read(), re.M):
                    problems.add(f"no target '{target}': {line.strip()}")
    check("README: the make targets are there", problems if nr else {"none found"})


def check_links():
    with open("README.md", encoding="utf-8") as f:
        text = f.read()
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    check("README: what it links to is there",
          {t for t in targets if not os.path.exists(t)} if targets else {"no links found"})


commands = re.findall(r"^  (\w+) ", run(KYMO, "help").stdout, re.M)
help_of = {c: run(KYMO, c, "--help").stdout for c in commands}
if os.environ.get("RECORD") == "0":
    # The pages describe the recorder, too; this build cannot tell its options.
    print("1..0 # SKIP a build without the recorder")
    raise SystemExit
check_commands("README", readme_blocks(), help_of)
check_commands("manual pages", page_examples(), help_of)
check_targets(readme_blocks())
check_links()
print(f"1..{len(results)}")
for i, (name, problems) in enumerate(results, 1):
    print(f"{'not ' if problems else ''}ok {i} - {name}")
    for problem in problems:
        print(f"# {problem}")
