"""One training run: data, model and loss in; weights, curves and case rows out."""
