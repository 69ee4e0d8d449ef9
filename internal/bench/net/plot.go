package main

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// A plot is curves over two axes.
type plot struct {
	title, x, y string
	logX, logY  bool
	curves      []curve
}

// A curve is points from left to right.
type curve struct {
	name   string
	colour int // the same number is the same colour in all plots
	points []point
}

type point struct{ x, y float64 }

// colours that readers who don't tell red from green can tell apart (Okabe and Ito).
var colours = []string{"#000000", "#999999", "#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#0072b2", "#d55e00", "#8c6d31", "#b09f00"}

// The drawing in pixels.
const (
	plotWidth, plotHeight = 860, 440
	plotLeft, plotRight   = 70, 640 // of the area between the axes
	plotTop, plotBottom   = 40, 390
)

// An axis takes values to pixels.
type axis struct {
	lo, hi   float64
	from, to float64
	log      bool
}

func (a axis) at(v float64) float64 {
	lo, hi := a.lo, a.hi
	if a.log {
		v, lo, hi = math.Log10(v), math.Log10(lo), math.Log10(hi)
	}
	return a.from + (v-lo)/(hi-lo)*(a.to-a.from)
}

// ticks are the values that the axis names.
func (a axis) ticks() (list []float64) {
	if a.log {
		for v := a.lo; v <= a.hi*1.0001; v *= 10 {
			list = append(list, v)
		}
		return list
	}
	for i := range 6 {
		list = append(list, a.lo+(a.hi-a.lo)*float64(i)/5)
	}
	return list
}

// newAxis covers values, whole decades where it is logarithmic, and from 0 on where
// not.
func newAxis(values []float64, log bool, from, to float64) axis {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 || !log {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	switch {
	case math.IsInf(lo, 1):
		lo, hi = 1, 10
	case log:
		lo, hi = math.Pow(10, math.Floor(math.Log10(lo))), math.Pow(10, math.Ceil(math.Log10(hi)))
	default:
		lo = 0
	}
	if lo == hi {
		hi = 10*lo + 1
	}
	return axis{lo, hi, from, to, log}
}

// svg draws the plot.
func (p *plot) svg() string {
	var xs, ys []float64
	for _, c := range p.curves {
		for _, q := range c.points {
			xs, ys = append(xs, q.x), append(ys, q.y)
		}
	}
	x, y := newAxis(xs, p.logX, plotLeft, plotRight), newAxis(ys, p.logY, plotBottom, plotTop)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth, plotHeight, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, plotHeight)
	text := func(x, y float64, anchor, style, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(s))
	}
	line := func(x1, y1, x2, y2 float64, colour string) {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
	}
	text(plotLeft, 22, "start", ` font-size="15"`, p.title)
	for _, v := range x.ticks() {
		line(x.at(v), plotTop, x.at(v), plotBottom, "#dddddd")
		text(x.at(v), plotBottom+16, "middle", "", short(v))
	}
	for _, v := range y.ticks() {
		line(plotLeft, y.at(v), plotRight, y.at(v), "#dddddd")
		text(plotLeft-6, y.at(v)+4, "end", "", short(v))
	}
	line(plotLeft, plotBottom, plotRight, plotBottom, "black")
	line(plotLeft, plotTop, plotLeft, plotBottom, "black")
	text((plotLeft+plotRight)/2, plotBottom+36, "middle", "", p.x)
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", (plotTop+plotBottom)/2, html.EscapeString(p.y))
	for i, c := range p.curves {
		colour := colours[c.colour%len(colours)]
		var path []string
		for _, q := range c.points {
			if q.y <= 0 && p.logY || q.x <= 0 && p.logX {
				continue
			}
			path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(q.x), y.at(q.y)))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
		if len(path) <= 12 {
			for _, at := range path {
				cx, cy, _ := strings.Cut(at, ",")
				fmt.Fprintf(&b, `<circle cx="%s" cy="%s" r="3" fill="%s"/>`+"\n", cx, cy, colour)
			}
		}
		at := float64(plotTop + 10 + 20*i)
		line(plotRight+16, at-4, plotRight+40, at-4, colour)
		text(plotRight+46, at, "start", "", c.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// short is a value of an axis in as few letters as possible.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
