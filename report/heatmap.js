"use strict";
(() => {
const NS = "http://www.w3.org/2000/svg", XHTML = "http://www.w3.org/1999/xhtml";
const svg = document.currentScript ? document.currentScript.ownerSVGElement : document.documentElement;
const by = (id) => svg.querySelector("#" + id);
const data = JSON.parse(by("data").textContent);
const width = Number(svg.getAttribute("data-width")), height = Number(svg.getAttribute("data-height"));
const noun = svg.getAttribute("data-noun"), middles = svg.getAttribute("data-one") === "1";
const columns = data.x.from.length, rows = data.y.from.length;
const details = by("d");
const shares = data.kind === "utilization", seconds = data.kind === "subsecond";

const make = (name, attributes, parent) => {
	const e = document.createElementNS(NS, name);

	for (const key in attributes)
		e.setAttribute(key, attributes[key]);
	if (parent)
		parent.appendChild(e);
	return e;
};

/* --- cells ----------------------------------------------------------------- */

/* By column that has something: what its rows show, and how many columns it is wide. */
function decode(text) {
	const found = new Map();
	let column = 0;

	for (const part of text === "" ? [] : text.split(";")) {
		const [place, ...cells] = part.split(" "), [step, wide] = place.split("/");
		const amounts = new Map();
		let row = 0;

		column += Number(step);
		for (const cell of cells) {
			const [up, amount] = cell.split("*");

			row += Number(up);
			amounts.set(row, amount === undefined ? 1 : Number(amount));
		}
		found.set(column, {wide: Number(wide || 1), amounts});
	}
	return found;
}

const maps = [...svg.querySelectorAll(".map")].map((el, i) => {
	const m = {el, frame: el.querySelector(".f"), cells: el.querySelector(".z"),
		ticks: el.querySelector(".t"), of: data.maps[i] || {filter: "", total: 0, cells: ""}};

	m.columns = decode(m.of.cells);
	/* The column whose interval covers another one. */
	m.owner = new Map();
	for (const [column, c] of m.columns)
		for (let i = 0; i < c.wide; i++)
			m.owner.set(column - i, column);
	m.hover = make("rect", {class: "hover", visibility: "hidden"}, m.cells);
	m.mark = make("rect", {class: "sel", visibility: "hidden"}, m.cells);
	m.zoomed = make("g", {class: "t", visibility: "hidden"});
	m.ticks.after(m.zoomed);
	return m;
});

/* --- what is shown --------------------------------------------------------- */

const whole = {x: 0, y: 0, columns, rows};
let view = whole;

function numbers(m, labels, first, nr, px, apart, draw) {
	let step = 1;

	for (const times = [2, 2.5, 2]; step * px / nr < apart;) {
		step *= times[0];
		times.push(times.shift());
	}
	step = Math.ceil(step);
	for (let i = Math.ceil(first / step) * step; i <= first + nr; i += step)
		draw((i - first) * px / nr, labels[i]);
}

function drawTicks(m) {
	m.zoomed.replaceChildren();
	numbers(m, data.x.label, view.x, view.columns, width, 96, (x, text) => {
		make("path", {d: "M" + x.toFixed(1) + " 0v" + height}, m.zoomed);
		if (m.el.dataset.x === "1")
			make("text", {x: x.toFixed(1), y: height + 18}, m.zoomed).textContent = text;
	});
	numbers(m, data.y.label, view.y, view.rows, height, 15, (y, text) => {
		const at = (height - y - (middles ? height / view.rows / 2 : 0)).toFixed(1);

		if (at < 0)
			return;
		make("path", {d: "M0 " + at + "H" + width}, m.zoomed);
		if (m.el.dataset.y === "1")
			make("text", {class: "e", x: -9, y: Number(at) + 4}, m.zoomed).textContent = text;
	});
}

function show(next) {
	const sx = width / next.columns, sy = height / next.rows, all = next === whole;

	view = next;
	for (const m of maps) {
		m.cells.setAttribute("transform", "matrix(" + [sx, 0, 0, -sy, -next.x * sx,
			height + next.y * sy].join(" ") + ")");
		m.ticks.setAttribute("visibility", all ? "visible" : "hidden");
		m.zoomed.setAttribute("visibility", all ? "hidden" : "visible");
		if (!all)
			drawTicks(m);
	}
	by("reset").classList.toggle("off", all);
}

/* --- words ----------------------------------------------------------------- */

const grouped = (n) => n.toLocaleString("en-US");

function amountOf(m, s) {
	let sum = 0;

	for (const [column, c] of m.columns)
		if (column >= s.left && column <= s.right)
			for (const [row, amount] of c.amounts)
				if (row >= s.low && row <= s.high)
					sum += amount;
	return sum;
}

function words(m, s) {
	const sum = amountOf(m, s);
	let text = data.x.label[s.left] + " \u2013 " + data.x.label[s.right + 1] + ",  ";

	if (shares) {
		const nr = (s.right - s.left + 1) * (s.high - s.low + 1);

		text += "CPU " + data.y.from[s.low];
		if (s.high > s.low)
			text += " \u2013 " + data.y.from[s.high];
		return text + ":  " + (sum / nr / 10).toFixed(1) + " % of the time";
	}
	if (middles && s.low === s.high)
		text += data.y.label[s.low];
	else
		text += data.y.label[s.low] + " \u2013 " + data.y.label[s.high + 1];
	text += ":  " + grouped(sum) + " " + (sum === 1 ? noun.slice(0, -1) : noun);
	if (m.of.total)
		text += ", " + (100 * sum / m.of.total).toFixed(2) + " % of " +
			(maps.length > 1 ? "this map" : "all");
	return text + (data.tally ? ", counted in whole intervals" : "");
}

/* Microseconds from the start as seconds. */
const clock = (us) => "+" + Math.floor(us / 1e6) + "." + String(us % 1e6).padStart(6, "0");
const isAll = (s) => s.low === 0 && s.high === rows - 1;

/* Of sub-seconds, a place in one second is a time; in several it repeats. */
function chooseSecond(s, terms) {
	const whole_s = Number(data.x.from[s.left].slice(1));
	const low = Number(data.y.from[s.low]) / 1e3, high = Number(data.y.to[s.high]) / 1e3;

	if (s.left === s.right && data.second && Number.isInteger(whole_s) && !data.timed)
		return clock(whole_s * 1e6 + low) + "," + clock(whole_s * 1e6 + high - 1);
	if (low > 0)
		terms.push("time % 1s >= " + low / 1e3 + "ms");
	if (high < 1e6)
		terms.push("time % 1s < " + high / 1e3 + "ms");
	return null;
}

function options(m, s) {
	const list = data.options === "" ? [] : [data.options];
	const terms = [data.filter, m.of.filter].filter(Boolean);
	let time = data.x.from[s.left] + "," + data.x.to[s.right];

	if (!isAll(s) && seconds)
		time = chooseSecond(s, terms) || time;
	else if (!isAll(s) && shares && !data.cpus)
		list.push("-C " + data.y.from[s.low] +
			(s.high > s.low ? "-" + data.y.from[s.high] : ""));
	else if (!isAll(s) && shares)
		terms.push("cpu >= " + data.y.from[s.low], "cpu <= " + data.y.from[s.high]);
	else if ((!isAll(s) || data.limited) && !shares && data.exact)
		terms.push(...[data.y.from[s.low], data.y.to[s.high]].filter(Boolean));
	if (data.timed || s.left > 0 || s.right < columns - 1 || time.length > 0 && seconds && !isAll(s))
		list.push("--time " + time);
	if (terms.length)
		list.push("--filter '" + terms.join(" && ").replace(/'/g, "'\\''") + "'");
	return list.join(" ");
}

/* --- choosing a region ----------------------------------------------------- */

const input = document.createElementNS(XHTML, "input");

input.setAttribute("type", "text");
input.setAttribute("id", "args");
input.setAttribute("readonly", "");
input.setAttribute("aria-label", "options that choose the region");
input.setAttribute("placeholder", "drag over a region: the options that choose its records");
by("s").appendChild(input);

let chosen = null;		/* {m, left, right, low, high}: cells, all of them in it */

function place(rect, s) {
	rect.setAttribute("visibility", s ? "visible" : "hidden");
	if (!s)
		return;
	rect.setAttribute("x", s.left);
	rect.setAttribute("y", s.low);
	rect.setAttribute("width", s.right - s.left + 1);
	rect.setAttribute("height", s.high - s.low + 1);
}

/* Whole intervals of a tally; all values where a filter cannot tell them apart. */
function snap(m, s) {
	const first = m.owner.get(s.left), last = m.owner.get(s.right);

	if (first !== undefined)
		s.left = first - m.columns.get(first).wide + 1;
	if (last !== undefined)
		s.right = last;
	if (seconds && !data.x.from[s.left].startsWith("+") || !data.exact) {
		s.low = 0;
		s.high = rows - 1;
	}
	return s;
}

function choose(m, a, b) {
	const s = snap(m, {left: Math.min(a.x, b.x), right: Math.max(a.x, b.x),
		low: Math.min(a.y, b.y), high: Math.max(a.y, b.y)});

	if (chosen && chosen.m !== m)
		place(chosen.m.mark, null);
	chosen = {m, ...s};
	place(m.mark, s);
	details.textContent = words(m, s);
	by("zoom").classList.remove("off");
	by("copy").classList.remove("off");
}

function tell() {
	const no = chosen.m.of.filter === null ? "  # of all maps: code is nothing to filter by" : "";

	input.value = options(chosen.m, chosen) + no;
	input.focus({preventScroll: true});
	input.select();
}

function forget() {
	if (chosen)
		place(chosen.m.mark, null);
	chosen = null;
	input.value = "";
	details.textContent = "";
	by("zoom").classList.add("off");
	by("copy").classList.add("off");
}

function copy() {
	if (!chosen)
		return;
	tell();
	/* Where scripts may not, the text is selected. */
	if (navigator.clipboard)
		navigator.clipboard.writeText(input.value).catch(() => {});
}

function zoom() {
	if (!chosen)
		return;
	const s = chosen, next = {x: s.left, y: s.low, columns: s.right - s.left + 1,
		rows: s.high - s.low + 1};

	place(s.m.mark, null);
	show(next);
}

/* --- events ---------------------------------------------------------------- */

function cellAt(m, e) {
	const r = m.frame.getBoundingClientRect();
	const limit = (v, first, nr) => Math.max(first, Math.min(first + nr - 1, Math.floor(v)));

	return {x: limit(view.x + (e.clientX - r.left) / r.width * view.columns, view.x, view.columns),
		y: limit(view.y + (r.bottom - e.clientY) / r.height * view.rows, view.y, view.rows)};
}

let drag = null;

for (const m of maps) {
	const hide = () => {
		m.hover.setAttribute("visibility", "hidden");
		details.textContent = chosen ? words(chosen.m, chosen) : "";
	};
	const cursor = {x: 0, y: 0}, anchor = {x: 0, y: 0};

	m.frame.addEventListener("mousemove", (e) => {
		if (drag)
			return;
		const at = cellAt(m, e), s = snap(m, {left: at.x, right: at.x, low: at.y, high: at.y});

		place(m.hover, s);
		details.textContent = words(m, s);
	});
	m.frame.addEventListener("mouseleave", hide);
	m.frame.addEventListener("mousedown", (e) => {
		if (e.button !== 0)
			return;
		e.preventDefault();
		m.el.focus({preventScroll: true});
		m.hover.setAttribute("visibility", "hidden");
		drag = {m, from: cellAt(m, e)};
		Object.assign(anchor, drag.from);
		Object.assign(cursor, drag.from);
		choose(m, drag.from, drag.from);
	});
	/* Arrows move a cell, with Shift they stretch it. */
	m.el.addEventListener("keydown", (e) => {
		const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1],
			ArrowUp: [0, 1]}[e.key];

		if (e.key === "Enter") {
			zoom();
		} else if (step) {
			e.preventDefault();
			cursor.x = Math.max(0, Math.min(columns - 1, cursor.x + step[0]));
			cursor.y = Math.max(0, Math.min(rows - 1, cursor.y + step[1]));
			if (!e.shiftKey)
				Object.assign(anchor, cursor);
			choose(m, anchor, cursor);
			input.value = options(m, chosen);
		}
	});
}

window.addEventListener("mousemove", (e) => {
	if (drag)
		choose(drag.m, drag.from, cellAt(drag.m, e));
});
window.addEventListener("mouseup", (e) => {
	if (!drag)
		return;
	choose(drag.m, drag.from, cellAt(drag.m, e));
	drag = null;
	tell();
});

const button = (id, action) => {
	by(id).addEventListener("click", action);
	by(id).addEventListener("keydown", (e) => {
		if (e.key === "Enter" || e.key === " ") {
			e.preventDefault();
			action();
		}
	});
};
button("copy", copy);
button("zoom", zoom);
button("reset", () => show(whole));
window.addEventListener("keydown", (e) => {
	if (e.key !== "Escape")
		return;
	if (chosen)
		forget();
	else
		show(whole);
});
svg.classList.add("js");
})();
