# SPDX-License-Identifier: GPL-2.0-or-later
# What KSM did, over time: a panel for each counter. Called by `matrix ksm plot` as
#   gnuplot -c ksm.gnuplot TERMINAL TIME-UNIT CURVES MARKS LABEL...
# TERMINAL is "svg" or "png". CURVES says how many curves each panel has, "1 1". MARKS is 1 if there
# are any. A LABEL for each panel, with its unit. The data is descriptor 3, blocks with two empty lines
# behind each: block 0 has the marks, as time, height (0 to 1) and text; then one block for each curve
# of the first panel, of the second and so on: a line with its title, then time and value. Times and
# values are in the units of the labels. The picture goes to standard output.
# Copy it, change it, and name it: matrix ksm plot --template FILE.
panels = words(ARG3)
height = panels == 1 ? 540 : 360 * panels
if (ARG1 eq "png") {
    set terminal pngcairo size 960,height font "sans,11" noenhanced background "white"
} else {
    set terminal svg size 960,height font "sans-serif,14" noenhanced background "white" name "ksm"
}
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
set xrange [0:*]
set autoscale xfixmax
set yrange [*<0:0<*] # with 0 in it, so that small changes look small
set y2range [0:1] # the marks' heights
set lmargin 12 # so that the axes stand above one another
set rmargin 3
set key outside top center horizontal samplen 5 maxrows 4
data = "/dev/fd/3"

# The marks' times, for lines as high as the panel.
marks = 0
if (ARG4 eq "1") {
    stats data index 0 using 1 nooutput
    marks = STATS_records
    array times[marks]
    stats data index 0 using (times[int($0) + 1] = $1, 0) nooutput
    do for [m = 1:marks] {
        set arrow m from first times[m], graph 0 to first times[m], graph 1 nohead back linestyle 21
    }
}

set multiplot layout panels,1
first = 1
do for [panel = 1:panels] {
    curves = int(word(ARG3, panel))
    set ylabel (panel == 1 ? ARG5 : panel == 2 ? ARG6 : panel == 3 ? ARG7 : panel == 4 ? ARG8 : ARG9)
    if (panel == panels) { set xlabel sprintf("time (%s)", ARG2) }
    plot for [c = 1:curves] data index (first + c - 1) using 1:2 with lines \
             linestyle (1 + (c - 1) % 8) title columnheader(1), \
         data index 0 using 1:2:3 axes x1y2 with labels rotate by 90 right \
             offset character 0.8,0 font ",10" textcolor rgb "#404040" notitle
    first = first + curves
}
unset multiplot
