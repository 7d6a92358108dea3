package console

// Running reports whether Run has begun.
func (c *Console) Running() bool { return c.running.Load() }
