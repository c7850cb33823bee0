/* SPDX-License-Identifier: MIT */
/* Circular doubly linked list with the link embedded in the element. */
#ifndef UI_BASE_LIST_H
#define UI_BASE_LIST_H

#include "base/types.h"

struct ui_list {
	struct ui_list *next, *prev;
};

UI_ALWAYS_INLINE void ui_list_init(struct ui_list *head)
{
	head->next = head->prev = head;
}

UI_ALWAYS_INLINE bool ui_list_empty(const struct ui_list *head)
{
	return head->next == head;
}

/* Before @head: at the end of the list it heads. */
UI_ALWAYS_INLINE void ui_list_add_tail(struct ui_list *head, struct ui_list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

/* Leaves @item pointing at itself, so that deleting twice is harmless. */
UI_ALWAYS_INLINE void ui_list_del(struct ui_list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	ui_list_init(item);
}

#define ui_list_for_each(pos, head) for (struct ui_list *pos = (head)->next; pos != (head); pos = pos->next)
#define ui_list_for_each_safe(pos, head)                                                                                  \
	for (struct ui_list *pos = (head)->next, *pos##_next = pos->next; pos != (head);                                  \
	     pos = pos##_next, pos##_next = pos->next)

#endif
