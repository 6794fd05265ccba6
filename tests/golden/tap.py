"""What tests have found, printed as TAP at their end."""

results = []


def check(name, good, *comments):
    results.append((name, good, comments))


def finish():
    print(f"1..{len(results)}")
    for i, (name, good, comments) in enumerate(results, 1):
        print(f"{'' if good else 'not '}ok {i} - {name}")
        for comment in comments if not good else ():
            print(f"# {comment}")
