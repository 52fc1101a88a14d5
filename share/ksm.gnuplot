# SPDX-License-Identifier: GPL-2.0-or-later
# What KSM did, over time: a panel for each counter. Called by `matrix ksm plot` as
#   gnuplot -c ksm.gnuplot TERMINAL TIME-UNIT CURVES MARKS LABEL...
# TERMINAL is "svg" or "png". CURVES says how many curves each panel has, "1 1". MARKS is 1 if there
# are any. A LABEL for each panel, with its unit. The data is descriptor 3, blocks with two empty lines
# behind each: block 0 has the marks, as time, height (0 to 1) and place of the text, which is a time
# as well, and the text; then one block for each curve of the first panel, of the second and so on: a
# line with its title, then time and value. Times and values are in the units of the labels. A panel has
# eight curves at most. The picture goes to standard output.
# Copy it, change it, and name it: matrix ksm plot --template FILE.
panels = words(ARG3)
height = panels == 1 ? 540 : 360 * panels
if (ARG1 eq "png") {
    set terminal pngcairo size 960,height font "sans,11" noenhanced background "white"
} else {
    set terminal svg size 960,height font "sans-serif,14" noenhanced background "white" name "ksm"
}
set encoding utf8
# Told apart by their dashes, too: the colours are for screens.
set style line 1 linecolor rgb "#000000" linewidth 2 dashtype 1
set style line 2 linecolor rgb "#0060a8" linewidth 2 dashtype (10,4)
set style line 3 linecolor rgb "#c05000" linewidth 2 dashtype (2,3)
set style line 4 linecolor rgb "#007850" linewidth 2 dashtype (10,4,2,4)
set style line 5 linecolor rgb "#904080" linewidth 2 dashtype (4,4)
set style line 6 linecolor rgb "#606060" linewidth 3 dashtype (16,6)
set style line 7 linecolor rgb "#806000" linewidth 2 dashtype (6,2,2,2,2,2)
set style line 8 linecolor rgb "#a0a0a0" linewidth 3 dashtype 1
set style line 20 linecolor rgb "#d8d8d8" linewidth 1 dashtype 1
set style line 21 linecolor rgb "#606060" linewidth 1 dashtype (2,4)
set grid back linestyle 20
set border 3
set tics nomirror
set y2range [0:1] # the marks' heights
set lmargin 12 # so that the axes stand above one another
set rmargin 3
set key outside top center horizontal samplen 5 font ",12"
data = "/dev/fd/3"

# The marks' times, for lines as high as the panel; and from each to its text, where that has been moved
# aside for others.
marks = 0
if (ARG4 eq "1") {
    stats data index 0 using 1 nooutput
    marks = STATS_records
    array times[marks]
    array places[marks]
    stats data index 0 using (times[int($0) + 1] = $1, places[int($0) + 1] = $3, 0) nooutput
    do for [m = 1:marks] {
        set arrow marks + m from first times[m], graph 1 to first places[m], graph 0.97 \
            nohead back linestyle 21
        set arrow m from first times[m], graph 0 to first times[m], graph 1 nohead back linestyle 21
    }
}

# To the end of the curves and marks.
stats data using 1 nooutput
set xrange [0:STATS_max]

set multiplot layout panels,1
first = 1
do for [panel = 1:panels] {
    curves = int(word(ARG3, panel))
    set ylabel (panel == 1 ? ARG5 : panel == 2 ? ARG6 : panel == 3 ? ARG7 : panel == 4 ? ARG8 : ARG9)
    if (panel == panels) { set xlabel sprintf("time (%s)", ARG2) }
    # With 0 in it, so that small changes look small; constant curves, too, need a height.
    set yrange [*:*] # stats looks at what is in it only
    stats data index first:(first + curves - 1) using 2 nooutput
    if (STATS_min < 0 && STATS_max > 0) { set yrange [*:*] }
    if (STATS_min < 0 && STATS_max <= 0) { set yrange [*:0] }
    if (STATS_min >= 0) { set yrange [0:*] }
    if (STATS_min == 0 && STATS_max == 0) { set yrange [0:1] }
    plot for [c = 1:curves] data index (first + c - 1) using 1:2 with lines \
             linestyle (1 + (c - 1) % 8) title columnheader(1), \
         data index 0 using 3:2:4 axes x1y2 with labels rotate by 90 right font ",10" \
             textcolor rgb "#202020" notitle
    first = first + curves
}
unset multiplot
