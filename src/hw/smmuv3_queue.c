/* SPDX-License-Identifier: MIT */
#include "hw/smmuv3_names.h"

UI_VALUES(CMD_TG);
UI_VALUES(RESP);
UI_VALUES(CS);
UI_VALUES(SH);
UI_VALUES(RNW);
UI_VALUES(CLASS);

#define UI_HOW_CMD_TG values_CMD_TG
#define UI_HOW_RESP values_RESP
#define UI_HOW_CS values_CS
#define UI_HOW_SH values_SH
#define UI_HOW_RNW values_RNW
#define UI_HOW_CLASS values_CLASS

enum command_field {
#define INDEX(name, shown, word, high, low, how) CMD_##name,
	UI_SMMUV3_CMD_FIELDS(INDEX)
#undef INDEX
};

enum event_field {
#define INDEX(name, word, high, low, how) EVT_##name,
	UI_SMMUV3_EVT_FIELDS(INDEX)
#undef INDEX
};

/* One row of the list each, for the lists below to choose from. */
#define CMD_ROW(name, shown, word, high, low, how) [CMD_##name] = { #shown, UI_HW_FIELD(word, high, low), UI_HOW_##how },
#define EVT_ROW(name, word, high, low, how) [EVT_##name] = { #name, UI_HW_FIELD(word, high, low), UI_HOW_##how },
#define PRI_ROW(name, word, high, low, how) { #name, UI_HW_FIELD(word, high, low), UI_HOW_##how },

static const struct ui_hw_name cmd_names[] = { UI_SMMUV3_CMD_FIELDS(CMD_ROW) };
static const struct ui_hw_name evt_names[] = { UI_SMMUV3_EVT_FIELDS(EVT_ROW) };
static const struct ui_hw_name pri_names[] = { UI_SMMUV3_PRI_FIELDS(PRI_ROW) };

UI_STRUCT(ui_smmuv3_pri, "PRI", UI_SMMUV3_PRI_WORDS, pri_names);

#define C(name) (UI_BIT(CMD_##name))
#define COMMAND(op, with)							\
	[UI_SMMUV3_OP_##op] = { "CMD_" #op, UI_SMMUV3_CMD_WORDS, cmd_names, ui_array_size(cmd_names), C(Opcode) | (with) }
/* What a command by address says of a range (4.4.1.1). */
#define C_RANGE (C(NUM) | C(SCALE) | C(Leaf) | C(TTL) | C(TG))

/* 4.2 to 4.7; zero where there is no command of that number. */
static const struct ui_hw_struct commands[] = {
	COMMAND(PREFETCH_CONFIG, C(SSec) | C(SSV) | C(SubstreamID) | C(StreamID)),
	COMMAND(PREFETCH_ADDR, C(SSec) | C(SSV) | C(SubstreamID) | C(StreamID) | C(PrefetchSize) | C(Stride) | C(Address)),
	COMMAND(CFGI_STE, C(SSec) | C(StreamID) | C(Leaf)),
	COMMAND(CFGI_STE_RANGE, C(SSec) | C(StreamID) | C(Range)),
	COMMAND(CFGI_CD, C(SSec) | C(SubstreamID) | C(StreamID) | C(Leaf)),
	COMMAND(CFGI_CD_ALL, C(SSec) | C(StreamID)),
	COMMAND(CFGI_VMS_PIDM, C(SSec) | C(VMID)),
	COMMAND(TLBI_NH_ALL, C(VMID)),
	COMMAND(TLBI_NH_ASID, C(VMID) | C(ASID)),
	COMMAND(TLBI_NH_VA, C_RANGE | C(VMID) | C(ASID) | C(Address)),
	COMMAND(TLBI_NH_VAA, C_RANGE | C(VMID) | C(Address)),
	COMMAND(TLBI_EL2_ALL, 0),
	COMMAND(TLBI_EL2_ASID, C(ASID)),
	COMMAND(TLBI_EL2_VA, C_RANGE | C(ASID) | C(Address)),
	COMMAND(TLBI_EL2_VAA, C_RANGE | C(Address)),
	COMMAND(TLBI_S12_VMALL, C(VMID)),
	COMMAND(TLBI_S2_IPA, C_RANGE | C(VMID) | C(IPA)),
	COMMAND(TLBI_NSNH_ALL, 0),
	COMMAND(ATC_INV, C(Global) | C(SSV) | C(SubstreamID) | C(StreamID) | C(AtcSize) | C(Address)),
	COMMAND(PRI_RESP, C(SSV) | C(SubstreamID) | C(StreamID) | C(PRGIndex) | C(Resp)),
	COMMAND(RESUME, C(SSec) | C(Ac) | C(Ab) | C(StreamID) | C(STAG)),
	COMMAND(STALL_TERM, C(SSec) | C(StreamID)),
	COMMAND(SYNC, C(CS) | C(MSH) | C(MSIAttr) | C(MSIData) | C(MSIAddress)),
};

#define E(name) (UI_BIT(EVT_##name))
#define EVENT(code, with)							\
	[UI_SMMUV3_##code] = { #code, UI_SMMUV3_EVT_WORDS, evt_names, ui_array_size(evt_names), E(Type) | E(StreamID) | (with) }
#define E_SSID (E(SSV) | E(SubstreamID))
/* What all faults of a translation say of the transaction. */
#define E_ACCESS (E_SSID | E(PnU) | E(InD) | E(RnW) | E(InputAddr))
#define E_FAULT (E_ACCESS | E(STAG) | E(Stall) | E(S2) | E(CLASS) | E(IPA))

/* 7.3.2 to 7.3.20; zero where there is no event of that number. */
static const struct ui_hw_struct events[] = {
	EVENT(F_UUT, E_ACCESS | E(Reason)),
	EVENT(C_BAD_STREAMID, E_SSID),
	EVENT(F_STE_FETCH, E_SSID | E(Reason) | E(FetchAddr)),
	EVENT(C_BAD_STE, E_SSID),
	EVENT(F_BAD_ATS_TREQ, E_SSID | E(InputAddr)),
	EVENT(F_STREAM_DISABLED, 0),
	EVENT(F_TRANSL_FORBIDDEN, E(RnW) | E(InputAddr)),
	EVENT(C_BAD_SUBSTREAMID, E(SubstreamID)),
	EVENT(F_CD_FETCH, E_SSID | E(Reason) | E(FetchAddr)),
	EVENT(C_BAD_CD, E_SSID),
	EVENT(F_WALK_EABT, E_ACCESS | E(Reason) | E(S2) | E(CLASS) | E(FetchAddr)),
	EVENT(F_TRANSLATION, E_FAULT),
	EVENT(F_ADDR_SIZE, E_FAULT),
	EVENT(F_ACCESS, E_FAULT),
	EVENT(F_PERMISSION, E_FAULT | E(TTRnW)),
	EVENT(F_TLB_CONFLICT, E_ACCESS | E(Reason) | E(S2) | E(IPA)),
	EVENT(F_CFG_CONFLICT, E_SSID | E(Reason)),
	EVENT(E_PAGE_REQUEST, E_SSID | E(uX) | E(uW) | E(uR) | E(pX) | E(pW) | E(pR) | E(Span) | E(PageAddr)),
	EVENT(F_VMS_FETCH, E_SSID | E(Reason) | E(FetchAddr)),
};

const struct ui_hw_struct *ui_smmuv3_command(const u64 *cmd)
{
	u64 op = ui_hw_get(cmd, UI_SMMUV3_CMD_Opcode);

	return op < ui_array_size(commands) && commands[op].name ? &commands[op] : NULL;
}

const struct ui_hw_struct *ui_smmuv3_event(const u64 *evt)
{
	u64 type = ui_hw_get(evt, UI_SMMUV3_EVT_Type);

	return type < ui_array_size(events) && events[type].name ? &events[type] : NULL;
}

/* 4.4.1.1: a range that is a single granule at no level in particular has no encoding of its own. */
static bool range_illegal(const u64 *cmd, const struct ui_smmuv3_feat *feat)
{
	u64 tg = ui_hw_get(cmd, UI_SMMUV3_CMD_TG), ttl = ui_hw_get(cmd, UI_SMMUV3_CMD_TTL);

	/* No table of 16K granules has leaves at level 1: the hint counts as none. */
	if (tg == UI_SMMUV3_CMD_TG_16K && ttl == 1)
		ttl = 0;
	return feat->ril && tg && !ttl && !ui_hw_get(cmd, UI_SMMUV3_CMD_NUM) && !ui_hw_get(cmd, UI_SMMUV3_CMD_SCALE);
}

/* Is there the feature without which the command is ILLEGAL? */
static bool op_supported(u64 op, const struct ui_smmuv3_feat *feat)
{
	switch (op) {
	case UI_SMMUV3_OP_CFGI_CD: /* 4.3.3 */
	case UI_SMMUV3_OP_CFGI_CD_ALL: /* 4.3.4 */
	case UI_SMMUV3_OP_TLBI_NH_ALL: /* 4.4.2 */
	case UI_SMMUV3_OP_TLBI_NH_ASID:
	case UI_SMMUV3_OP_TLBI_NH_VA:
	case UI_SMMUV3_OP_TLBI_NH_VAA:
		return feat->s1p;
	case UI_SMMUV3_OP_CFGI_VMS_PIDM: /* 4.3.5 */
		return feat->mpam;
	case UI_SMMUV3_OP_TLBI_EL2_ALL: /* 4.4.2 */
	case UI_SMMUV3_OP_TLBI_EL2_ASID:
	case UI_SMMUV3_OP_TLBI_EL2_VA:
	case UI_SMMUV3_OP_TLBI_EL2_VAA:
		return feat->s1p && feat->hyp;
	case UI_SMMUV3_OP_TLBI_S12_VMALL: /* 4.4.3 */
	case UI_SMMUV3_OP_TLBI_S2_IPA:
		return feat->s2p;
	case UI_SMMUV3_OP_ATC_INV: /* 4.5.1 */
		return feat->ats;
	case UI_SMMUV3_OP_PRI_RESP: /* 4.5.2 */
		return feat->pri;
	case UI_SMMUV3_OP_RESUME: /* 4.7.1 */
	case UI_SMMUV3_OP_STALL_TERM: /* 4.7.2 */
		return feat->stall_model != UI_SMMUV3_STALL_TERMINATE;
	default:
		return true;
	}
}

const char *ui_smmuv3_cmd_illegal(const u64 *cmd, const struct ui_smmuv3_feat *feat)
{
	const struct ui_hw_struct *s = ui_smmuv3_command(cmd);
	u64 op = ui_hw_get(cmd, UI_SMMUV3_CMD_Opcode);

	if (!s || !op_supported(op, feat))
		return "Opcode";
	if ((s->only & C(SSec)) && ui_hw_get(cmd, UI_SMMUV3_CMD_SSec)) /* 4.1.6 */
		return "SSec";
	if ((s->only & C(TG)) && range_illegal(cmd, feat))
		return "TG";
	if (op == UI_SMMUV3_OP_PRI_RESP && ui_hw_get(cmd, UI_SMMUV3_CMD_Resp) == UI_SMMUV3_RESP_RES_3) /* 4.5.2 */
		return "Resp";
	if (op == UI_SMMUV3_OP_SYNC && ui_hw_get(cmd, UI_SMMUV3_CMD_CS) == UI_SMMUV3_CS_RES_3) /* 4.7.3 */
		return "CS";
	return NULL;
}
