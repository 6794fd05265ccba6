"""What is seen of a picture: texts that touch, and colours as different eyes see them."""

# What must not touch: the header, the labels, and what stands below.
TEXTS_JS = """
    return [...document.querySelectorAll("svg > text, .b, #t text, #foot text, #k rect")].filter(
        (e) => e.tagName === "rect" || e.textContent.trim() !== "").map((e) => {
        const r = e.getBoundingClientRect();
        return {text: e.textContent, x: r.left, y: r.top, w: r.width, h: r.height,
                tag: e.tagName};
    });"""


def overlaps(texts):
    """Pairs that touch; swatches may touch each other."""
    found = []
    for i, a in enumerate(texts):
        for b in texts[i + 1:]:
            apart = (a["x"] + a["w"] <= b["x"] + 0.5 or b["x"] + b["w"] <= a["x"] + 0.5 or
                     a["y"] + a["h"] * 0.8 <= b["y"] or b["y"] + b["h"] * 0.8 <= a["y"])
            if not apart and not a["tag"] == b["tag"] == "rect":
                found.append((a, b))
    return found


# Linear RGB as a deuteranope, a protanope and a tritanope see it (Machado and others, 2009).
EYES = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                 (-0.011820, 0.042940, 0.968881)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
               (-0.003882, -0.048116, 1.051998)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
                (0.004733, 0.691367, 0.303900)),
}


def linear(colour):
    parts = [int(p) / 255 for p in colour[4:-1].split(",")]
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def lab(colour, eye):
    rgb = [sum(m * c for m, c in zip(row, linear(colour))) for row in EYES[eye]]
    rgb = [min(max(c, 0), 1) for c in rgb]
    xyz = (0.4124 * rgb[0] + 0.3576 * rgb[1] + 0.1805 * rgb[2],
           0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2],
           0.0193 * rgb[0] + 0.1192 * rgb[1] + 0.9505 * rgb[2])
    f = [c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116
         for c in (xyz[0] / 0.9505, xyz[1], xyz[2] / 1.089)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def distance(a, b, eye):
    return sum((p - q) ** 2 for p, q in zip(lab(a, eye), lab(b, eye))) ** 0.5
