"""Charts: from values to Vega-Lite specifications, and from those to SVG.

A *chart* is a specification with its title, a description in words, and the numbers that it shows
as a table: whoever cannot see it, or has nothing to draw with, reads the same. The *baseline* is
dashed and the *candidate* solid, better points up and worse down: colour never speaks alone.
Specifications name plain colours, so that they show anywhere; `draw` puts the colours of the page
in their place. Nothing but `draw` needs more than detent's own dependencies.
"""
