"""The checks, one matter a file; `rldg.data.validation.registry` lists them."""
