"""A local Datalore: serves a folder of notebooks over Datalore's Run API and runs them in Jupyter kernels."""
