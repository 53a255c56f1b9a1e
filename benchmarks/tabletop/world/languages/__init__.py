"""The five languages of the tabletop world, one file each: words, grammar and sentences."""
