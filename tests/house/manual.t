#!/usr/bin/env python3
"""The manual pages are well-formed and agree with --help, both ways."""

import glob
import os
import re
import subprocess

KYMO = os.environ["KYMO"]
results = []


def check(name, problems):
    results.append((name, sorted(problems)))


def run(*args):
    done = subprocess.run(args, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout


def help_options(command):
    """{'--output': ('-o', 'FILE'), ...} from the option lines of --help."""
    options = {}
    for line in run(KYMO, command, "--help").split("\n"):
        found = re.match(
            r"  (?:(-\w)|    )(?:(?:, |)(--[\w-]+))?(?:(?: |\[=)([A-Z][^\s\]]*)\]?)?(?:  |$)", line)
        if found and (found.group(1) or found.group(2)):
            options[found.group(2) or found.group(1)] = (found.group(1), found.group(3))
    return options


def page_options(path):
    """The same from the .It and paragraph lines of the page's OPTIONS."""
    options = {}
    section = ""
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith(".Sh "):
                section = line[4:]
            if section != "OPTIONS":
                continue
            if not line.startswith(".It Fl "):
                continue
            # ".It Fl o , Fl -time Ar A , Ns Ar B": Ns joins, so that is "A,B".
            words = line[4:].replace(" , Ns Ar ", ",").replace(" Ns Op = Ns Ar", " Ar").split()
            letter = name = arg = None
            for macro, word in zip(words, words[1:]):
                if macro == "Fl" and word.startswith("-"):
                    name = "-" + word
                elif macro == "Fl":
                    letter = "-" + word
                elif macro == "Ar":
                    arg = word
            options[name or letter] = (letter, arg)
    return options


def check_lint():
    pages = sorted(glob.glob("Documentation/*.[15]"))
    said = run("mandoc", "-T", "lint", "-W", "warning", *pages)
    check("mandoc has nothing to say", set(said.split("\n")) - {""})


def check_agreement(command):
    path = f"Documentation/kymo-{command}.1"
    if not os.path.exists(path):
        check(f"{command} has a manual page", {f"no {path}"})
        return
    told, written = help_options(command), page_options(path)
    told.pop("--help", None)
    problems = set() if told else {"no options found in --help"}
    problems |= {f"{name} is not in {path}" for name in told.keys() - written.keys()}
    problems |= {f"{name} is not in --help" for name in written.keys() - told.keys()}
    problems |= {f"{name}: {told[name]} in --help, {written[name]} in {path}"
                 for name in told.keys() & written.keys() if told[name] != written[name]}
    check(f"{command}: --help and its page agree", problems)


def check_complete(commands):
    with open("Documentation/kymo.1", encoding="utf-8") as f:
        text = f.read()
    check("kymo(1) names every command",
          {c for c in commands if f".It Cm {c}" not in text})
    described = set(re.findall(r"^\.It Cm (\w+)", text, re.M))
    check("kymo(1) names no other", described - set(commands) - RECORDER)


commands = re.findall(r"^  (\w+) ", run(KYMO, "help"), re.M)
# An analyser without the recorder has its manual page all the same.
RECORDER = {"record", "list"} if os.environ.get("RECORD") == "0" else set()
check_lint()
check_complete(commands)
for command in commands:
    if command != "help":
        check_agreement(command)
print(f"1..{len(results)}")
for i, (name, problems) in enumerate(results, 1):
    print(f"{'not ' if problems else ''}ok {i} - {name}")
    for problem in problems:
        print(f"# {problem}")
