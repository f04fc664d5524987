"""Sources: asked again and again, side by side, for the models that exist; what they answer becomes rows.

`discovery.py` decides who is asked when; `asker.py` asks one source, over HTTP with `fetcher.py`, or reads
`local_files.py`; `answer_plan.py` plans the rows (pure), `answer_writer.py` writes them.
"""
