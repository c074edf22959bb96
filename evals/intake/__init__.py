"""How well files are read: Pollock, W3C dialects, encodings, workbooks, beside other readers."""
