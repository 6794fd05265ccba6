"use strict";
(() => {
const NS = "http://www.w3.org/2000/svg";
const svg = document.currentScript ? document.currentScript.ownerSVGElement : document.documentElement;
const by = (id) => svg.querySelector("#" + id);
const frames = by("f"), labels = by("t"), details = by("d"), matched = by("m");
const num = (name) => Number(svg.getAttribute("data-" + name));
const left = num("left"), top_ = num("top"), inner = num("inner"), rowPx = num("row");
const rows = [...frames.children];
let icicle = svg.getAttribute("data-icicle") === "1";
/* Hatching keeps its shape, however wide a unit is. */
const hatches = [...svg.querySelectorAll("pattern[data-angle]")];
const isDifference = hatches.length > 0;
let pattern = null;

/* One object a frame, by row, then from left to right. */
const all = [];
rows.forEach((row, depth) => {
	for (const el of row.children) {
		const f = {el, depth, x: Number(el.getAttribute("x")), w: Number(el.getAttribute("width"))};
		const text = el.firstElementChild.textContent;
		const cut = text.lastIndexOf("\n");

		f.name = text.slice(0, cut);
		f.count = text.slice(cut + 1);
		f.mark = el.dataset.mark;
		f.label = (f.mark ? f.mark + " " : "") + f.name;
		el.frame = f;
		all.push(f);
	}
});
const root = all[0];
let zoomed = root;

const inside = (f, g) => f.x >= g.x && f.x + f.w <= g.x + g.w;
const percent = (part, whole) => (100 * part / whole).toFixed(2) + " %";
const parentOf = (f) => all.find((g) => g.depth === f.depth - 1 && inside(f, g));

/* --- labels ---------------------------------------------------------------- */

const cells = (c) => c.codePointAt(0) < 0x1100 ? 1 : 2;

function cut(name, room) {
	let used = 0, end = 0;

	for (const c of name) {
		used += cells(c);
		if (used <= room - 1)
			end += c.length;
		if (used > room)
			return name.slice(0, end) + "\u2026";
	}
	return name;
}

const cellPx = (() => {
	const probe = document.createElementNS(NS, "text");

	probe.textContent = "0".repeat(50);
	labels.appendChild(probe);
	const px = probe.getComputedTextLength() / 50;
	probe.remove();
	return px || rowPx * 0.42;
})();

/* Rows that nothing wider than a pixel reaches are out of sight. */
const fewest = num("rows");
let shown = fewest;

const rowY = (depth) => (icicle ? depth : shown - 1 - depth) * rowPx;

function placeRows() {
	const scale = inner / zoomed.w, height = num("height") + (shown - fewest) * rowPx;

	rows.forEach((row, depth) => row.setAttribute("transform", "translate(0 " + rowY(depth) + ")"));
	by("c").firstElementChild.setAttribute("height", shown * rowPx);
	by("foot").setAttribute("transform", "translate(0 " + (shown - fewest) * rowPx + ")");
	svg.setAttribute("height", height);
	svg.setAttribute("viewBox", "0 0 " + num("width") + " " + height);
	frames.setAttribute("transform", "translate(" + left + " " + top_ + ") scale(" + scale +
		" 1) translate(" + -zoomed.x + " 0)");
	for (const h of hatches)
		h.setAttribute("patternTransform", "scale(" + 1 / scale + " 1) rotate(" +
			h.getAttribute("data-angle") + ")");
	drawLabels();
}

function drawLabels() {
	const scale = inner / zoomed.w, made = document.createDocumentFragment();

	for (const f of all) {
		const from = Math.max(f.x, zoomed.x), to = Math.min(f.x + f.w, zoomed.x + zoomed.w);
		const room = Math.floor(((to - from) * scale - 6) / cellPx);

		if (room < (f.mark ? 2 : 3) || f.depth >= shown)
			continue;
		const text = document.createElementNS(NS, "text");
		text.setAttribute("x", ((from - zoomed.x) * scale + 3).toFixed(1));
		text.setAttribute("y", rowY(f.depth) + rowPx * 0.72);
		text.textContent = f.mark && room < 5 ? f.mark : cut(f.label, room);
		made.appendChild(text);
	}
	labels.replaceChildren(made);
}

/* --- zoom ------------------------------------------------------------------ */

function zoom(f) {
	zoomed = f;
	shown = fewest;
	for (const g of all) {
		g.el.classList.toggle("p", g.depth < f.depth && inside(f, g));
		if (inside(g, f) && g.w * inner >= f.w)
			shown = Math.max(shown, g.depth + 1);
	}
	by("reset").classList.toggle("off", f === root);
	placeRows();
	showMatched();
}

function turn() {
	icicle = !icicle;
	by("icicle").lastElementChild.textContent = icicle ? "Flames" : "Icicles";
	placeRows();
}

/* --- details --------------------------------------------------------------- */

function show(f) {
	if (!f) {
		details.textContent = "";
		return;
	}
	const parent = parentOf(f);
	let text = f.name + "  \u2013  " + f.count;

	if (isDifference) {
		const room = Math.floor(inner / 6.6) - f.count.length - 4;

		details.textContent = cut(f.label, Math.max(room, 16)) + "  \u2013  " + f.count;
		return;
	}
	text = text.replace(/, [^,]*$/, "") + ", " + percent(f.w, root.w) + " of all";
	if (zoomed !== root && inside(f, zoomed))
		text += ", " + percent(f.w, zoomed.w) + " of " + cut(zoomed.name, 40);
	if (parent && parent !== root && parent !== zoomed)
		text += ", " + percent(f.w, parent.w) + " of its parent";
	details.textContent = text;
}

/* --- search ---------------------------------------------------------------- */

/* What matches, without what lies below another match. */
function matchedShare() {
	const kept = [];	/* disjoint, from left to right */
	let sum = 0;

	for (const f of all) {
		if (!f.hit || f.depth < zoomed.depth || !inside(f, zoomed))
			continue;
		let lo = 0, hi = kept.length;

		while (lo < hi) {
			const mid = (lo + hi) >> 1;

			if (kept[mid].x <= f.x)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo > 0 && inside(f, kept[lo - 1]))
			continue;
		kept.splice(lo, 0, f);
		sum += f.w;
	}
	return sum / zoomed.w;
}

function showMatched() {
	if (!pattern) {
		matched.textContent = "";
		return;
	}
	matched.textContent = "Matched: " + (100 * matchedShare()).toFixed(2) + " %";
}

/* Small letters match capitals, too. */
function search(text) {
	try {
		pattern = text === "" ? null : new RegExp(text, /[A-Z]/.test(text) ? "" : "i");
	} catch (e) {
		pattern = null;
		for (const f of all)
			f.el.classList.toggle("m", f.hit = false);
		matched.textContent = "not a regular expression";
		return;
	}
	for (const f of all) {
		f.hit = pattern !== null && f !== root && pattern.test(f.name);
		f.el.classList.toggle("m", f.hit);
	}
	showMatched();
}

const input = (() => {
	const place = by("s"), box = document.createElementNS("http://www.w3.org/1999/xhtml", "input");

	box.setAttribute("type", "text");
	box.setAttribute("id", "q");
	box.setAttribute("placeholder", "regular expression");
	box.setAttribute("aria-label", "search");
	box.setAttribute("spellcheck", "false");
	place.appendChild(box);
	box.addEventListener("input", () => search(box.value));
	return box;
})();

function clearSearch() {
	input.value = "";
	search("");
}

/* --- events ---------------------------------------------------------------- */

const target = (e) => e.target.frame || (e.target.parentNode && e.target.parentNode.frame);

frames.addEventListener("click", (e) => target(e) && zoom(target(e)));
frames.addEventListener("mouseover", (e) => show(target(e)));
frames.addEventListener("mouseout", () => show(null));
const button = (id, action) => {
	by(id).addEventListener("click", action);
	by(id).addEventListener("keydown", (e) => {
		if (e.key === "Enter" || e.key === " ") {
			e.preventDefault();
			action();
		}
	});
};
button("reset", () => zoom(root));
button("icicle", turn);
button("search", () => input.focus());
window.addEventListener("keydown", (e) => {
	if ((e.ctrlKey || e.metaKey) && e.key === "f" || e.key === "F3") {
		e.preventDefault();
		input.focus();
		input.select();
	} else if (e.key === "Escape") {
		if (input.value !== "")
			clearSearch();
		else
			zoom(root);
		input.blur();
	}
});
svg.classList.add("js");
zoom(root);
})();
