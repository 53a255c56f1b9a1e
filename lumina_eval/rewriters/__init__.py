"""Where rewritten prompts come from: a file, a language model behind an endpoint, a local one."""
