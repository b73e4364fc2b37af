/* A second unit: completes a declaration and has a static of the same name. */
struct hidden {
	int secret;
	char why[4];
};
static int only_here = 88;
struct hidden the_hidden = { 7, "abc" };
extern struct hidden the_hidden;

int use(void);
int use_other(void) { return only_here++ + the_hidden.secret; }
void _start(void) { use(); use_other(); for (;;); }
