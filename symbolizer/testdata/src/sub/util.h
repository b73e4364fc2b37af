#pragma once
static inline int add(int a, int b)
{
	return a + b;
}

static inline int clamp(int v, int lo, int hi)
{
	if (v < lo)
		return lo;
	return v > hi ? hi : v;
}

int helper_in_other_unit(int x);
