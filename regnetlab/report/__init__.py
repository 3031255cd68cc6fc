"""How results are shown: figures (Plotly) and one self-contained page (Jinja2)."""
