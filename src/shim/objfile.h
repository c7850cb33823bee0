/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that calls give out: fault queues, event queues, and what the mock has. Behind each is an object of the
 * library's. The first five are the environment's (iommufd/iommufd.h says what they promise); @arg: the context's file.
 */
#ifndef UI_SHIM_OBJFILE_H
#define UI_SHIM_OBJFILE_H

#include "iommufd/iommufd.h"
#include "shim/shim.h"

int ui_object_new(void *arg, const struct ui_iommufd_file_ops *ops, void *obj, u64 memory_bytes);
void ui_object_drop(void *arg, int fd);
void ui_object_readable(void *arg, void *obj, bool now);
void *ui_object_get(void *arg, int fd, const struct ui_iommufd_file_ops *ops);
void ui_object_put(void *arg, void *obj);

/* A descriptor that a call to another process, which is @owner, gives us (UI_MSG_INSTALL). Closes @fd in case of error. Its number; a
 * negative errno. And taken back (UI_MSG_DROP). */
struct ui_msg;
int ui_object_receive(int fd, const struct ui_msg *msg, u64 owner);
void ui_object_return(int fd);
/* The client whose call just ended has to take the byte that says "readable" out of its socket. Once. */
bool ui_object_take_byte(void);
/* Any kind of @file. */
bool ui_object_is_socket(const struct ui_file *file);
/* Waits until no process has a descriptor of @file, which is a socket. 0; -EINTR. */
int ui_object_wait(struct ui_file *file);

/* The call in progress on this thread ends: descriptors that it made are the program's. Inside an entry, no lock held. */
void ui_objects_settle(void);

/* As ui_file_identify(), ui_file_by_ino() for objects. Any @fd. */
struct ui_file *ui_object_identify(int fd);
struct ui_file *ui_object_by_ino(u64 ino);
/* As ui_file_adopt() for a duplicate of a descriptor of this kind. */
struct ui_file *ui_object_adopt(int fd);
/* read(2) or write(2) of a file that ui_file_ready() found good. Results as the kernel's. */
s64 ui_object_transfer(struct ui_file *file, u64 uaddr, u64 n_bytes, bool write);
/* For the log. */
const char *ui_object_name(const struct ui_file *file);
/* The length of its memory, 0 without. */
u64 ui_object_bytes(const struct ui_file *file);
/* What fstat(2) says. */
void ui_object_stat(const struct ui_file *file, struct stat *st);
/* The last reference of @file is gone. */
void ui_object_release(struct ui_file *file);

#endif
