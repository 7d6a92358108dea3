package console

// Running reports whether Run has begun.
func (c *Console) Running() bool { return c.running.Load() }

// Visible is visible.
func Visible[T string | []byte](text T) T { return visible(text) }
