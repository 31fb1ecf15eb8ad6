"""A local Datalore: serves a folder of notebooks over Datalore's APIs and runs them in Jupyter kernels."""
