"""Draws folded stacks as one SVG that needs nothing else: a flame graph that any viewer shows, and that a browser lets
zoom and search (view.js, placed inside). The same stacks always give the same bytes. Used by tools/perf-record.
SPDX-License-Identifier: MIT"""
import html
import os
import re
import zlib

from fold import KERNEL

WIDTH = 1200
MARGIN = 10
ROW = 18
TOP = 62  # title, subtitle, legend
BOTTOM = 26  # what the pointer is on
GAP = 0.6  # between neighbours that are wide enough for one
CHAR = 7.25  # one character of a 12 px monospace font
DEPTH_MAX = 400  # deeper frames are cut
FRAME_MIN = 0.02  # px: narrower frames are left out, with all above them

# kind -> (what the legend says, hue, hue range, saturation %, lightness %)
KINDS = {
    "thread": ("thread", 220, 0, 8, 78),
    "shunt": ("shunt_*, sh_*", 82, 50, 48, 66),
    "user": ("program and libraries", 22, 30, 88, 67),
    "kernel": ("kernel", 200, 28, 58, 74),
    "unknown": ("no symbol", 0, 0, 0, 84),
}

STYLE = """
text { font: 12px "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1c1c1c; }
.title { font: bold 17px sans-serif; } .sub, .legend { font: 12px sans-serif; fill: #555; }
.f text { pointer-events: none; } .f:hover rect { stroke: #111; stroke-width: 1.2; } .f { cursor: pointer; }
.f.parent { opacity: .55; } .f.hit rect { fill: #e040c8 !important; } .f.hit text { fill: #fff; }
input { font: 12px sans-serif; box-sizing: border-box; width: 100%; height: 24px; padding: 2px 6px;
	border: 1px solid #aaa; border-radius: 4px; } input.bad { border-color: #c00; }
"""


class Node:
    __slots__ = ("name", "samples", "children", "depth", "start")

    def __init__(self, name, depth):
        self.name, self.samples, self.children, self.depth, self.start = name, 0, {}, depth, 0


def tree(stacks):
    """Merges equal beginnings; -> (root, how many stacks were cut)"""
    root, cut = Node("all", 0), 0
    for stack, count in stacks.items():
        cut += len(stack) > DEPTH_MAX
        node = root
        node.samples += count
        for frame in stack[:DEPTH_MAX]:
            node = node.children.setdefault(frame, Node(frame, node.depth + 1))
            node.samples += count
    return root, cut


def lay_out(root, narrowest):
    """Every frame of at least `narrowest` samples with its place, callers before callees, siblings by name"""
    waiting, placed = [root], []
    while waiting:
        node = waiting.pop()
        placed.append(node)
        start = node.start
        for name in sorted(node.children):
            child = node.children[name]
            child.start = start
            start += child.samples
            if child.samples >= narrowest:
                waiting.append(child)
    return sorted(placed, key=lambda node: (node.depth, node.start))


def kind_of(node):
    if node.depth <= 1:
        return "thread"
    if node.name.endswith(KERNEL):
        return "kernel"
    if node.name.startswith("["):
        return "unknown"
    return "shunt" if re.match(r"(sh|shunt)_\w", node.name) else "user"


def colour(kind, name):
    _, hue, spread, saturation, light = KINDS[kind]
    seed = zlib.crc32(name.encode())
    return f"hsl({hue + seed % (spread + 1)},{saturation}%,{light - 5 + (seed >> 8) % 11 if spread else light}%)"


def escape(text):
    """XML text or attribute; characters that XML cannot hold become U+FFFD"""
    return html.escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def fit(text, width, char=CHAR):
    room = int(width / char)
    return text if len(text) <= room else text[: room - 1] + "…" if room >= 4 else ""


def share(samples, total):
    return f"{samples:,} sample{'' if samples == 1 else 's'}, {100 * samples / total:.2f} %"


def draw_frame(node, root, height):
    scale = (WIDTH - 2 * MARGIN) / root.samples
    x, width = MARGIN + node.start * scale, node.samples * scale
    y = height - BOTTOM - (node.depth + 1) * ROW
    drawn = width - GAP if width > 4 * GAP else width
    label = fit(node.name, width - 6)
    text = f'<text x="{x + 3:.2f}" y="{y + 13}">{escape(label)}</text>' if label else "<text/>"
    return (
        f'<g class="f" data-x="{node.start}" data-w="{node.samples}" data-d="{node.depth}">'
        f"<title>{escape(node.name)} ({share(node.samples, root.samples)})</title>"
        f'<rect x="{x:.2f}" y="{y}" width="{drawn:.2f}" height="{ROW - 1}"'
        f' fill="{colour(kind_of(node), node.name)}"/>'
        f"{text}</g>\n"
    )


def draw_legend(kinds):
    parts, x = [], MARGIN
    for kind, (what, hue, spread, saturation, light) in KINDS.items():
        if kind in kinds:
            parts.append(
                f'<rect x="{x}" y="46" width="11" height="11" fill="hsl({hue + spread // 2},{saturation}%,{light}%)"/>'
                f'<text class="legend" x="{x + 16}" y="56">{what}</text>'
            )
            x += 30 + int(len(what) * 6.2)
    return "".join(parts) + "\n"


def render(stacks, title, subtitle=""):
    """-> the SVG as text; `stacks` holds at least one sample"""
    root, cut = tree(stacks)
    nodes = lay_out(root, FRAME_MIN * root.samples / (WIDTH - 2 * MARGIN))
    height = TOP + (max(node.depth for node in nodes) + 1) * ROW + BOTTOM
    notes = [f"{root.samples:,} sample{'' if root.samples == 1 else 's'}"] + ([subtitle] if subtitle else [])
    if cut:
        notes.append(f"{cut} stacks cut at {DEPTH_MAX} frames")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "view.js"), encoding="utf-8") as f:
        script = f.read()
    return "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>\n',
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"',
            f' data-margin="{MARGIN}" data-gap="{GAP}" data-char="{CHAR}">\n',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n",
            '<rect width="100%" height="100%" fill="#fff"/>\n',
            f'<text class="title" x="{MARGIN}" y="22">{escape(fit(title, WIDTH - 300, 9.5))}</text>\n',
            f'<text class="sub" x="{MARGIN}" y="39">{escape(fit(" · ".join(notes), WIDTH - 300, 6.5))}</text>\n',
            draw_legend({kind_of(node) for node in nodes}),
            '<foreignObject id="tools" x="0" y="0" width="0" height="60"/>\n',
            f'<text class="sub" id="found" x="{WIDTH - MARGIN}" y="56" text-anchor="end"/>\n',
            f'<text id="details" x="{MARGIN}" y="{height - 8}"/>\n',
            *(draw_frame(node, root, height) for node in nodes),
            f"<script><![CDATA[\n{script}]]></script>\n</svg>\n",
        ]
    )
