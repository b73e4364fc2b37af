/* Structs with the names and members of Unikraft's allocators, laid out on
 * purpose as no release does, and functions by which they are recognised. */
typedef unsigned long word;
typedef unsigned int half;

struct uk_alloc {
	void *(*malloc)(void);
	void *(*palloc)(void);
	word pad[3];
	void *(*malloc_backend)(void);
	struct uk_alloc *next;
	unsigned char priv[];
} one_alloc;

struct uk_list_head { struct uk_list_head *prev, *next; };

struct uk_allocpool {
	word pad;
	half obj_count, free_obj_count;
	struct uk_list_head free_obj;
	word obj_len, obj_align;
	struct uk_alloc *parent;
	struct uk_alloc self;
} one_pool;

struct uk_allocregion { void *heap_base, *heap_top; word pad; } one_region;

struct uk_vas;
struct uk_allocstack {
	struct uk_vas *vas;
	word premapped_len;
	struct uk_alloc *parent_a;
	struct uk_alloc a;
} one_stack;

typedef struct Block Block;
struct Block { word size; void *addr; Block *next; };
typedef struct { Block *used, *free, *fresh; word pad, top; Block *blocks; } Heap;
struct tinyalloc { word heap_max_blocks; Heap *heap; word heap_split_thresh, heap_alignment; void *heap_limit; } one_tiny;

struct bhdr_struct;
struct free_ptr_struct { struct bhdr_struct *prev, *next; };
struct bhdr_struct {
	struct bhdr_struct *prev_hdr;
	word size;
	union { struct free_ptr_struct free_ptr; unsigned char buffer[1]; } ptr;
};
struct area_info_struct { struct area_info_struct *next; struct bhdr_struct *end; } one_area;
struct TLSF_struct {
	half tlsf_signature;
	struct area_info_struct *area_head;
	half fl_bitmap;
	half sl_bitmap[24];
	word pad;
	struct bhdr_struct *matrix[24][16];
} one_tlsf;

typedef struct mi_stat_count_s { long allocated, freed, peak, current; } mi_stat_count_t;
typedef struct mi_stats_s { mi_stat_count_t pages, committed, reserved, malloc, threads; } mi_stats_t;
mi_stats_t _mi_stats_main;
struct mi_block;
typedef struct mi_page_s {
	half slice_count, slice_offset;
	unsigned short capacity, reserved;
	struct mi_block *free;
	half used, xblock_size;
	struct mi_block *local_free;
	word xthread_free;
	struct mi_page_s *next, *prev;
} mi_page_t;
typedef struct mi_segment_s { word info[128]; mi_page_t slices[4 + 1]; } mi_segment_t;
mi_segment_t *one_segment;
typedef struct mi_page_queue_s { mi_page_t *first, *last; word block_size; } mi_page_queue_t;
struct mi_heap_s;
typedef struct mi_tld_s { struct mi_heap_s *heaps; } mi_tld_t;
typedef struct mi_heap_s {
	mi_tld_t *tld;
	mi_page_queue_t pages[3];
	struct mi_block *thread_delayed_free;
	word keys[2], page_count;
	struct mi_heap_s *next;
} mi_heap_t;
mi_heap_t _mi_heap_main;

struct uk_alloc *_uk_alloc_head;

void *uk_palloc_compat(void) { return 0; }
void *uk_malloc_ifmalloc(void) { return 0; }
void *pool_malloc(void) { return 0; }
void *uk_allocregion_malloc(void) { return 0; }
void *stack_malloc(void) { return 0; }
void *uk_tlsf_malloc(void) { return 0; }
void *uk_tinyalloc_malloc(void) { return 0; }
void *uk_mimalloc_malloc(void) { return 0; }
void *bbuddy_palloc(void) { return 0; }
int main(void) { return 0; }
