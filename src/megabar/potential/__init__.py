"""The NEP potential: model, datasets, training, evaluation, cards and the shipped library."""
