"""What a study means: data frames in, small named results out; nothing here draws."""
