/* SPDX-License-Identifier: BSD-3-Clause */
/* printf formatting: flags - 0 #, width, precision, h hh l ll z, and d i u x X p c s. */
#include <guest/string.h>
#include <uk/print.h>

struct out {
	char *p;
	size_t size;
	size_t n;
};

static void put(struct out *o, char c)
{
	if (o->n + 1 < o->size)
		o->p[o->n] = c;
	o->n++;
}

struct spec {
	unsigned int left : 1;
	unsigned int zero : 1;
	unsigned int alt : 1;
	unsigned int upper : 1;
	int longs; /* -2 hh, -1 h, 0 int, 1 l/z, 2 ll */
	int width;
	int precision; /* -1: none */
};

static void put_padded(struct out *o, const struct spec *sp, const char *prefix, const char *body, size_t n)
{
	size_t plen = strlen(prefix), total = plen + n;
	size_t pad = sp->width > 0 && (size_t)sp->width > total ? (size_t)sp->width - total : 0;

	if (!sp->left && !sp->zero)
		for (; pad; pad--)
			put(o, ' ');
	while (*prefix)
		put(o, *prefix++);
	if (!sp->left && sp->zero)
		for (; pad; pad--)
			put(o, '0');
	while (n--)
		put(o, *body++);
	for (; sp->left && pad; pad--)
		put(o, ' ');
}

static void put_number(struct out *o, const struct spec *sp, __u64 v, unsigned int base, bool negative)
{
	const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	const char *prefix = negative ? "-" : base == 16 && sp->alt && v ? "0x" : "";
	char buf[24];
	size_t i = sizeof(buf);

	do {
		buf[--i] = digits[v % base];
		v /= base;
	} while (v);
	put_padded(o, sp, prefix, buf + i, sizeof(buf) - i);
}

static void put_text(struct out *o, struct spec *sp, const char *s)
{
	size_t n = 0;

	if (!s)
		s = "(null)";
	while (s[n] && (sp->precision < 0 || n < (size_t)sp->precision))
		n++;
	sp->zero = 0;
	put_padded(o, sp, "", s, n);
}

static const char *parse(const char *f, struct spec *sp, va_list *ap)
{
	*sp = (struct spec){ .precision = -1 };
	for (;; f++) {
		if (*f == '-')
			sp->left = 1;
		else if (*f == '0')
			sp->zero = 1;
		else if (*f == '#')
			sp->alt = 1;
		else
			break;
	}
	if (*f == '*') {
		sp->width = va_arg(*ap, int);
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		sp->width = sp->width * 10 + (*f - '0');
	if (*f == '.') {
		sp->precision = 0;
		if (*++f == '*') {
			sp->precision = va_arg(*ap, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++)
			sp->precision = sp->precision * 10 + (*f - '0');
	}
	for (; *f == 'l' || *f == 'z' || *f == 'h'; f++)
		sp->longs += *f == 'h' ? -1 : 1;
	return f;
}

int vsnprintf(char *out, size_t size, const char *fmt, va_list ap0)
{
	struct out o = { out, size, 0 };
	struct spec sp;
	va_list ap;

	va_copy(ap, ap0);
	for (const char *f = fmt; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse(f + 1, &sp, &ap);
		switch (*f) {
		case 'd':
		case 'i': {
			__s64 v = sp.longs > 0 ? va_arg(ap, long) : va_arg(ap, int);

			put_number(&o, &sp, v < 0 ? 0 - (__u64)v : (__u64)v, 10, v < 0);
			break;
		}
		case 'X':
			sp.upper = 1; /* fallthrough */
		case 'u':
		case 'x': {
			__u64 v = sp.longs > 0 ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int);

			put_number(&o, &sp, v, *f == 'u' ? 10 : 16, false);
			break;
		}
		case 'p':
			sp.alt = 1;
			put_number(&o, &sp, (__uptr)va_arg(ap, void *), 16, false);
			break;
		case 'c':
			put(&o, (char)va_arg(ap, int));
			break;
		case 's':
			put_text(&o, &sp, va_arg(ap, const char *));
			break;
		case '%':
			put(&o, '%');
			break;
		default: /* unknown or cut: show it */
			put(&o, '%');
			if (!*f)
				f--;
			else
				put(&o, *f);
		}
	}
	va_end(ap);
	if (size)
		out[MIN(o.n, size - 1)] = 0;
	return (int)o.n;
}

int snprintf(char *out, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, size, fmt, ap);
	va_end(ap);
	return n;
}
