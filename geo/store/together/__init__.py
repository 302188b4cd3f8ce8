"""What comes in beside reports, and what the office does together.

`devices`: things that tell of themselves. `meetings`: places, topics that become issues.
`campaigns`: lists of problems and measures, ticked off, told in bulletins. `projects`: small ones
with a budget, agreed and approved by different people. `links`: what an issue came of.
"""
