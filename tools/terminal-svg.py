#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns what a terminal shows into an SVG. Standard input is a screen with its colours, as
`tmux capture-pane -e -p` prints it; standard output is the picture. tools/pictures.sh makes those
of the manual with it."""
import argparse
import html
import re
import sys

CELL_WIDTH, LINE_HEIGHT, FONT_SIZE, MARGIN, TITLE_HEIGHT = 8.4, 18, 14, 14, 30
BACKGROUND, TITLE_BACKGROUND, FOREGROUND, DIM = "#14171c", "#20252d", "#d6dbe3", "#8a94a3"
# The sixteen colours of a terminal: normal, then bright.
PALETTE = ["#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d6dbe3",
           "#5c6773", "#ff7b86", "#b5e08f", "#ffd68a", "#7cc4ff", "#dd92f3", "#6fd3df", "#ffffff"]
# Characters that must fill their cell whatever the font: left edge, width and height, in cells.
BLOCKS = {"█": (0.0, 1.0, 1.0), "▐": (0.5, 0.5, 1.0), "▌": (0.0, 0.5, 1.0), "│": (0.45, 0.1, 1.0)}
BLOCKS |= {chr(0x2580 + eighths): (0.0, 1.0, eighths / 8) for eighths in range(1, 8)}
# What is left free above and below a block, so that bars on neighbouring lines stay apart.
BAR_GAP = 2


def next_style(style, codes):
    """The colour and weight after an SGR sequence (ECMA-48, 8.3.117)."""
    colour, bold = style
    for code in [int(c) if c else 0 for c in codes.split(";")]:
        if code == 0:
            colour, bold = FOREGROUND, False
        elif code == 1:
            bold = True
        elif code == 22:
            bold = False
        elif code == 39:
            colour = FOREGROUND
        elif 30 <= code <= 37:
            colour = PALETTE[code - 30]
        elif 90 <= code <= 97:
            colour = PALETTE[code - 82]
    return colour, bold


def runs_of(line, style):
    """Splits a line into (column, text, style), without the blanks between; and the last style."""
    runs, column = [], 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        sequence = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if sequence:
            style = next_style(style, sequence[1])
            continue
        part = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]|[\x00-\x1f]", "", part)
        # Equal blocks, and words that belong together: two blanks end a run.
        blocks = "".join(BLOCKS)
        for match in re.finditer(rf"([{blocks}])\1*|[^\s{blocks}]+(?: [^\s{blocks}]+)*", part):
            runs.append((column + match.start(), match[0], style))
        column += len(part)
    return runs, style


def draw_run(column, text, style, y, gap):
    colour, bold = style
    if text[0] in BLOCKS:
        left, width, height = BLOCKS[text[0]]
        rect_height = height * (LINE_HEIGHT - 2 * gap)
        return (f'<rect x="{MARGIN + (column + left) * CELL_WIDTH:.1f}" '
                f'y="{y + LINE_HEIGHT - gap - rect_height:g}" '
                f'width="{(len(text) - 1 + width) * CELL_WIDTH:.1f}" '
                f'height="{rect_height:g}" fill="{colour}"/>')
    weight = ' font-weight="bold"' if bold else ""
    # The length is given, so that columns stay aligned in whatever font is there.
    return (f'<text x="{MARGIN + column * CELL_WIDTH:.1f}" y="{y + FONT_SIZE - 1}" '
            f'textLength="{len(text) * CELL_WIDTH:.1f}" fill="{colour}"{weight}>'
            f"{html.escape(text)}</text>")


def draw(lines, columns, title, gap):
    top = (TITLE_HEIGHT if title else 0) + MARGIN
    width = columns * CELL_WIDTH + 2 * MARGIN
    height = top + len(lines) * LINE_HEIGHT + MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
           f'width="{width:.0f}" height="{height:.0f}" font-size="{FONT_SIZE}" '
           'font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace">',
           f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>']
    if title:
        out.append(f'<title>{html.escape(title)}</title><path d="M0 {TITLE_HEIGHT}V8a8 8 0 0 1 8-8'
                   f'h{width - 16:.0f}a8 8 0 0 1 8 8v{TITLE_HEIGHT - 8}z" '
                   f'fill="{TITLE_BACKGROUND}"/><text x="{MARGIN}" y="20" fill="{DIM}">'
                   f"$ {html.escape(title)}</text>")
    style = (FOREGROUND, False)
    for row, line in enumerate(lines):
        runs, style = runs_of(line, style)
        out += [draw_run(*run, top + row * LINE_HEIGHT, gap) for run in runs]
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=120, help="width of the terminal")
    parser.add_argument("--title", help="the command that was typed")
    parser.add_argument("--chart", action="store_true", help="join blocks of neighbouring lines")
    parser.add_argument("--last", type=int, metavar="N", help="the last N lines only")
    options = parser.parse_args()
    lines = sys.stdin.read().rstrip().split("\n")[-(options.last or 0):]
    while lines and not lines[0].strip():
        lines.pop(0)
    sys.stdout.write(draw(lines, options.columns, options.title,
                          0 if options.chart else BAR_GAP))


if __name__ == "__main__":
    main()
