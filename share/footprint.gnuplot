# SPDX-License-Identifier: GPL-2.0-or-later
# The memory of a process over time. Called by `matrix proc plot` as
#   gnuplot -c footprint.gnuplot TERMINAL TIME-UNIT VIRTUAL-UNIT RESIDENT-UNIT PANELS
# with the data as descriptor 3: time, virtual and resident memory in these units, separated by
# spaces. The picture goes to standard output: no name of a user's reaches gnuplot, which would take
# some for commands. PANELS is 2 where one axis would press one of the two curves flat.
if (ARG1 eq "png") {
    set terminal pngcairo size 960,600 font "sans,11" noenhanced background "white"
} else {
    set terminal svg size 960,600 font "sans-serif,14" noenhanced background "white" name "footprint"
}
set style line 1 linecolor rgb "#000000" linewidth 2 dashtype 1
set style line 2 linecolor rgb "#606060" linewidth 2 dashtype (8,4)
set style line 3 linecolor rgb "#d0d0d0" linewidth 1 dashtype 1
set grid back linestyle 3
set border 3
set tics nomirror
set yrange [0:*]
# The key stands above the axes, where no data can be.
set key outside top center horizontal samplen 4
data = "/dev/fd/3"
time = sprintf("time (%s)", ARG2)

if (ARG5 eq "2") {
    set multiplot layout 2,1
    set lmargin 10 # so that the axes stand above one another
    unset key
    set ylabel sprintf("virtual memory (%s)", ARG3)
    plot data using 1:2 with lines linestyle 2
    set ylabel sprintf("resident memory (%s)", ARG4)
    set xlabel time
    plot data using 1:3 with lines linestyle 1
    unset multiplot
} else {
    set ylabel sprintf("memory (%s)", ARG3)
    set xlabel time
    plot data using 1:2 with lines linestyle 2 title "virtual", \
         data using 1:3 with lines linestyle 1 title "resident"
}
