"""The drawing of the project's packages and of what imports what, in layers from top to bottom.

    python docs/house.py                # write docs/house.svg
    python docs/house.py --output PATH  # write it elsewhere

The arrows are the imports that the code has, found by `grimp`; an import that a longer way implies is drawn all the same, unless
it ends at one of `EVERYWHERE`. A drawing is the same to the byte for the same imports.
"""
