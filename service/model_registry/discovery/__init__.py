"""Sources: asked again and again, side by side, for the models that exist; what they answer becomes rows.

`discovery.py` decides who is asked when; `asker.py` asks one source, `fetcher.py` over HTTP and `local_files.py` and
`installed_module.py` without; `answer_plan.py` plans the rows (pure), `answer_writer.py` writes them.
"""
