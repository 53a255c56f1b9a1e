"""From images to rows of features: reading, resizing, networks, and a store of what was computed."""
