"""The languages of reports: a sentence stands in English where it is built; other languages have a table of them."""
