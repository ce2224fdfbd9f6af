/*
 * Zoom and search of a flame graph; svg.py places this inside each SVG that it draws. Without it the picture stands as
 * drawn; with it the graph fills the window. Click a frame: it becomes the whole width (Escape or the bottom row: all
 * again). The address keeps both, so that a view can be sent: flame.svg#zoom=START,DEPTH&find=WORDS.
 * SPDX-License-Identifier: MIT
 */
(function () {
	"use strict";
	const XHTML = "http://www.w3.org/1999/xhtml";
	const script = document.currentScript;
	const svg = (script && script.ownerSVGElement) || document.documentElement;
	const number = (element, name) => Number(element.dataset[name]);
	const margin = number(svg, "margin"), gap = number(svg, "gap"), char = number(svg, "char");
	const details = svg.querySelector("#details"), found = svg.querySelector("#found");
	const tools = svg.querySelector("#tools");

	const frames = Array.from(svg.querySelectorAll(".f"), function (group) {
		const what = group.querySelector("title").textContent;
		return {
			group, what, name: what.slice(0, what.lastIndexOf(" (")),
			rect: group.querySelector("rect"), text: group.querySelector("text"),
			start: number(group, "x"), samples: number(group, "w"), depth: number(group, "d"), hit: false,
		};
	});
	const top = frames[0];
	let zoomed = top, width = 1200, input = null;

	function fit(name, room) {
		const letters = Math.floor(room / char);
		return name.length <= letters ? name : letters >= 4 ? name.slice(0, letters - 1) + "…" : "";
	}

	function place(frame) {
		const above = frame.depth < zoomed.depth;
		const end = frame.start + frame.samples, zoomed_end = zoomed.start + zoomed.samples;
		const shown = above ? frame.start <= zoomed.start && end >= zoomed_end
			: frame.start >= zoomed.start && end <= zoomed_end;
		const scale = (width - 2 * margin) / zoomed.samples;
		const x = margin + (above ? 0 : (frame.start - zoomed.start) * scale);
		const wide = above ? width - 2 * margin : frame.samples * scale;

		frame.shown = shown && !above;
		frame.group.style.display = shown && wide >= 0.1 ? "" : "none";
		frame.group.classList.toggle("parent", above);
		frame.rect.setAttribute("x", x.toFixed(2));
		frame.rect.setAttribute("width", (wide > 4 * gap ? wide - gap : wide).toFixed(2));
		frame.text.setAttribute("x", (x + 3).toFixed(2));
		frame.text.setAttribute("y", Number(frame.rect.getAttribute("y")) + 13);
		frame.text.textContent = fit(frame.name, wide - 6);
	}

	/* Samples under a frame that matches, none twice: frames come callers first, so the outermost match decides. */
	function count() {
		const taken = [];
		let sum = 0;
		for (const frame of frames) {
			if (frame.hit && frame.shown && !taken.some((t) => t.start <= frame.start && frame.start < t.start + t.samples)) {
				taken.push(frame);
				sum += frame.samples;
			}
		}
		found.textContent = input && input.value
			? `found in ${(100 * sum / zoomed.samples).toFixed(2)} % of what is shown` : "";
	}

	function remember() {
		const parts = [];
		if (zoomed !== top)
			parts.push(`zoom=${zoomed.start},${zoomed.depth}`);
		if (input.value)
			parts.push(`find=${encodeURIComponent(input.value)}`);
		try {
			history.replaceState(null, "", "#" + parts.join("&"));
		} catch (refused) { /* some viewers have no address to keep */ }
	}

	function find() {
		let pattern = null;
		input.classList.remove("bad");
		try {
			pattern = input.value ? new RegExp(input.value, "i") : null;
		} catch (bad) {
			input.classList.add("bad");
		}
		for (const frame of frames) {
			frame.hit = pattern !== null && pattern.test(frame.name);
			frame.group.classList.toggle("hit", frame.hit);
		}
		count();
	}

	function zoom(frame) {
		zoomed = frame;
		frames.forEach(place);
		count();
	}

	function resize() {
		width = Math.max(640, window.innerWidth || 1200);
		svg.removeAttribute("viewBox");
		svg.setAttribute("width", width);
		tools.setAttribute("x", width - margin - 260);
		tools.setAttribute("width", 260);
		found.setAttribute("x", width - margin);
		zoom(zoomed);
	}

	function restore() {
		const wanted = new URLSearchParams(location.hash.slice(1));
		const at = (wanted.get("zoom") || "0,0").split(",").map(Number);
		zoomed = frames.find((f) => f.start === at[0] && f.depth === at[1]) || top;
		input.value = wanted.get("find") || "";
		resize();
		find();
	}

	function tell(frame) {
		const part = zoomed === top || !frame.shown ? ""
			: `; ${(100 * frame.samples / zoomed.samples).toFixed(2)} % of what is shown`;
		details.textContent = frame.what + part;
	}

	input = document.createElementNS(XHTML, "input");
	input.setAttribute("type", "search");
	input.setAttribute("placeholder", "/ search: name or regular expression");
	const row = document.createElementNS(XHTML, "div");
	row.style.cssText = "padding-top: 8px";
	row.appendChild(input);
	tools.appendChild(row);
	input.addEventListener("input", function () { find(); remember(); });

	for (const frame of frames) {
		frame.group.addEventListener("click", function () { zoom(frame); tell(frame); remember(); });
		frame.group.addEventListener("mouseenter", () => tell(frame));
		frame.group.addEventListener("mouseleave", function () { details.textContent = ""; });
	}
	window.addEventListener("keydown", function (event) {
		if (event.key === "Escape") {
			input.value = "";
			input.blur();
			zoom(top);
			find();
			remember();
		} else if (event.target !== input && (event.key === "/" || (event.key === "f" && event.ctrlKey))) {
			event.preventDefault();
			input.focus();
		}
	});
	window.addEventListener("resize", resize);
	window.addEventListener("hashchange", restore);
	restore();
})();
