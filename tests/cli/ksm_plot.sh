#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix ksm plot` on recordings that were made up: many curves, marks close together, constant curves,
# unknown counters, bad templates. Needs no KSM.
# Usage: ksm_plot.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$build" && pwd)
plot=("$build/matrix" ksm plot)
cd "$scratch"
record() { python3 "$here/ksm_recording.py" "$@"; }
# The texts of a picture: a Python expression of `texts`, of which each has x, y, is_rotated and text.
svg() {
    python3 -c 'import re, sys, xml.dom.minidom
from types import SimpleNamespace
texts = []
for text in xml.dom.minidom.parse(sys.argv[1]).getElementsByTagName("text"):
    move = re.search(r"translate\(([0-9.]+),([0-9.]+)\)", text.parentNode.getAttribute("transform"))
    texts.append(SimpleNamespace(x=float(move[1]), y=float(move[2]), text="".join(node.data for node in text.childNodes).strip(),
                                 is_rotated="rotate" in text.parentNode.getAttribute("transform")))
def where(text): return next(one for one in texts if one.text == text)
sys.exit(0 if eval(sys.argv[2]) else 1)' "$1" "$2"
}

# --- more curves than can be told apart ----------------------------------------------------------
record many.sqlite "$(python3 -c 'import json
print(json.dumps({"host": {"pages_shared": [1, 2]}, "processes":
    [{"name": "qemu-system-x86", "pid": 100 + i, "ksm_process_profit": [0, (19 - i) << 20]} for i in range(19)]}))')"
attempt "${plot[@]}" many.sqlite --what ksm_process_profit --out many.svg
check "of many curves eight are drawn" [ "$(grep -c 'qemu-system-x86 (1' many.svg)" -eq 8 ]
check "those with the largest values" grep -q 'qemu-system-x86 (107)' many.svg
check "and it is said how many are left out, and how to choose" eval 'complains "11 are left out" && complains "--of"'
check "most of the picture is the panel" svg many.svg \
    '[one.y for one in texts if one.text == "0"][0] - [one.y for one in texts if one.text == "20"][0] > 300'
attempt "${plot[@]}" many.sqlite --what ksm_process_profit --of 118,117 --out of.svg
check "--of draws those that are named" eval 'is_silent && [ "$(grep -c "qemu-system-x86 (1" of.svg)" -eq 2 ] &&
    grep -q "qemu-system-x86 (118)" of.svg'
attempt "${plot[@]}" many.sqlite --what ksm_process_profit,pages_shared --of qemu-system-x86 --terminal
check "by name, too; the host's counters stay" eval 'complains "11 are left out" && prints "pages shared"'
attempt "${plot[@]}" many.sqlite --what ksm_process_profit --of nobody --out nobody.svg
check "--of somebody who is not there is refused" eval 'has_status 122 && complains "no such process"'

# --- marks -----------------------------------------------------------------------------------------
long=$(printf 'a long text %.0s' {1..16})
record marks.sqlite '{"samples": 600, "host": {"pages_shared": [0, 1], "general_profit": [5]}, "marks":
    [[2, "one \"quoted\" \\ <b>"], [4, "two"], [7, "three"], [595, "four"], [598, "five"], [599, "'"$long"'"]]}'
attempt "${plot[@]}" marks.sqlite --out marks.svg
check "quotes and backslashes stay" svg marks.svg "where('one \"quoted\" \\\\ <b>').is_rotated"
check "labels stand beside each other" svg marks.svg \
    'all(abs(a.x - b.x) >= 11 or abs(a.y - b.y) > 200 for a in texts for b in texts
         if a is not b and a.is_rotated and b.is_rotated and "(" not in a.text + b.text)'
check "in the order of time, all of them" svg marks.svg \
    'where("two").x < where("three").x < where("four").x < where("five").x < 940'
check "a long text ends with an ellipsis" svg marks.svg \
    'sum(one.text.endswith("\u2026") and len(one.text) < 40 for one in texts) == 2'

record two.sqlite '{"samples": 60, "host": {"pages_shared": [0, 1]}, "marks": [[1, "a"], [1.1, "b"], [1.2, "c"]]}' \
    '{"samples": 60, "host": {"pages_shared": [0, 2]}, "marks": [[1.3, "d"]]}'
attempt "${plot[@]}" two.sqlite --what pages_shared --terminal
check "in the terminal, too, each mark of a session stands below it, and of no other" \
    [ "$(grep -oE '^ *(marks)? +[1-9]+ *$' out | tr -d ' \n')" = marks123marks4 ]
check "the list says of which session a mark is" eval 'prints "session 1: c" && prints "session 2: d"'

# --- constant curves ---------------------------------------------------------------------------------
record constant.sqlite '{"host": {"pages_shared": [0], "pages_sharing": [96], "general_profit": [-5242880]}}'
for what in pages_shared pages_sharing general_profit pages_shared,pages_sharing,general_profit; do
    attempt "${plot[@]}" constant.sqlite --what "$what" --out constant.svg
    check "constant curves: no word of gnuplot's ($what)" eval 'has_status 0 && is_silent'
done
check "with 0 in their axis" svg constant.svg 'sum(one.text == "0" for one in texts) >= 3'

# --- what cannot be drawn ------------------------------------------------------------------------------
attempt "${plot[@]}" constant.sqlite --what page_shared --out no.svg
check "a counter that is none: those that there are" \
    eval 'has_status 122 && complains "no such counter" && complains "there are: pages_shared, pages_sharing, general_profit"'
record once.sqlite '{"samples": 1, "host": {"pages_shared": [1]}}'
attempt "${plot[@]}" once.sqlite --what pages_shared --out no.svg
check "a single sample" complains "no two samples of it were recorded"
echo 'plot nonsense' >bad.gnuplot
attempt "${plot[@]}" constant.sqlite --template bad.gnuplot --out no.svg
check "a bad template: gnuplot's own words, and no picture" \
    eval 'has_status 125 && complains "undefined variable: nonsense" && [ ! -e no.svg ]'
cp constant.svg old.svg
attempt "${plot[@]}" constant.sqlite --template bad.gnuplot --out old.svg
check "what was there before still is" cmp constant.svg old.svg
attempt "${plot[@]}" constant.sqlite --out none/no.svg
check "a directory that is not there" complains "write the picture none/no.svg: No such file or directory"

# --- experiments of which there is nothing to draw -----------------------------------------------------
mkdir results
echo '{"version": 1, "name": "short"}' >results/results.json
record results/recording.sqlite '{"samples": 1, "host": {"pages_shared": [1], "pages_sharing": [1], "general_profit": [1]}}'
attempt "$build/matrix" ksm experiment --report results
check "an experiment without VMs and samples is no error" eval 'has_status 0 && is_silent'
check "its report says that" grep -q "No curve of VMs: nothing was recorded of any" results/report.html
check "and has no pictures" [ "$(echo results/*.svg)" = 'results/*.svg' ]
finish
