/** What analytics answers, as it stands in JSON. */

import type { Emotion } from "../protocol/vocabulary";

export interface ExplorerRow {
  readonly session_id: string;
  readonly started_at_ms: number;
  readonly ended_at_ms: number | null;
  readonly duration_s: number | null;
  readonly timeline: string;
  readonly mapping: string;
  readonly smoothing: string;
  readonly experiment: string;
  readonly variant: string;
  readonly end_reason: string;
  readonly audio: boolean;
  readonly video: boolean;
  readonly frames: number;
  readonly discontinuities: number;
  readonly emotions: Readonly<Record<Emotion, number>> | null;
  readonly top: Emotion | null;
  readonly valence: number | null;
  readonly arousal: number | null;
  readonly face_total_p95_ms: number | null;
  readonly speech_total_p95_ms: number | null;
  readonly dropped: number;
  readonly opt_outs: number;
  readonly mean_rating: number | null;
}

export interface ExplorerPage {
  readonly total: number;
  readonly rows: readonly ExplorerRow[];
  readonly mappings: readonly string[];
  readonly experiments: readonly string[];
}

type Spread = { readonly p50: number | null; readonly p95: number | null };

export interface SessionSummary {
  readonly session: {
    readonly session_id: string;
    readonly started_at_ms: number;
    readonly ended_at_ms: number | null;
    readonly timeline: string;
    readonly mapping: string;
    readonly smoothing: string;
    readonly config_version: string;
    readonly experiment: string;
    readonly variant: string;
    readonly end_reason: string;
  };
  readonly frames: {
    readonly count: number;
    readonly first_sequence: number;
    readonly last_sequence: number;
    readonly discontinuities: number;
  };
  readonly signals: Readonly<Record<string, { readonly records: number; readonly distinct: number }>>;
  readonly latency_ms: Readonly<Record<string, Readonly<Record<string, Spread>>>>;
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, number>>>>>>;
  readonly events: {
    readonly by_kind: Readonly<Record<string, number>>;
    readonly mean_rating: number | null;
  };
}

export interface SessionEvents {
  readonly gaps: readonly {
    readonly ticks: number;
    readonly from_ms: number;
    readonly to_ms: number;
    readonly flagged: boolean;
  }[];
  readonly events: readonly {
    readonly kind: string;
    readonly at_ms: number;
    readonly value: number | null;
    /** Of a rating: what the person said to feel. */
    readonly felt?: string | null;
  }[];
}

type Numbers = readonly (number | null)[];

export interface TrendsAnswer {
  readonly step_s: number;
  readonly along: Readonly<Record<string, Numbers>> & { readonly at_ms: readonly number[] };
  readonly hops: readonly ({ readonly modality: string; readonly hop: string } & Spread)[];
  readonly drops: readonly {
    readonly stage: string;
    readonly modality: string;
    readonly outcome: string;
    readonly items: number;
    readonly sessions: number;
    readonly share: number;
  }[];
  readonly dropped_along: {
    readonly at_ms: readonly number[];
    readonly dropped: Numbers;
    readonly items: Numbers;
  };
  readonly started: {
    readonly at_ms: readonly number[];
    readonly sessions: Numbers;
    readonly opted_out: Numbers;
    readonly withdrawn: Numbers;
  };
  readonly durations: {
    readonly ended: number;
    readonly edges_s: readonly number[];
    readonly counts: readonly number[];
    readonly p25: number | null;
    readonly p50: number | null;
    readonly p75: number | null;
    readonly p95: number | null;
  };
  readonly sessions: Readonly<Record<string, Numbers>> & { readonly session_id: readonly string[] };
}

export interface DriftChannel {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly edges: readonly number[];
  readonly words: readonly string[];
  readonly sessions: number;
  readonly reference_sessions: number;
  readonly shares: readonly number[];
  readonly reference_shares: readonly number[];
  readonly mean: number | null;
  readonly reference_mean: number | null;
  readonly psi: number | null;
  readonly js_distance: number | null;
  readonly p_value: number | null;
  readonly verdict: "stable" | "chance" | "moderate" | "large" | "too_few";
}

export interface DriftAnswer {
  readonly period: { readonly sessions: number; readonly frames: number };
  readonly reference: { readonly sessions: number; readonly frames: number };
  readonly channels: readonly DriftChannel[];
  readonly moderate_psi: number;
  readonly large_psi: number;
  readonly significant_p: number;
  readonly deals: number;
  readonly fewest_sessions: number;
  readonly most_sessions: number;
}

interface Sample {
  readonly verdict: "ok" | "mismatch" | "too_few" | "unknown";
  readonly p_value: number | null;
  readonly counts: Readonly<Record<string, number>>;
}

export interface ExperimentHead {
  readonly name: string;
  readonly status: "draft" | "running" | "stopped" | "undefined";
  readonly hypothesis: string | null;
  readonly control: string | null;
  readonly primary_metric: string | null;
  readonly first_assigned_at_ms: number | null;
  readonly last_assigned_at_ms: number | null;
  readonly variants: readonly {
    readonly name: string;
    readonly weight: number | null;
    readonly mapping: string | null;
    readonly smoothing: string | null;
    readonly parameters: Readonly<Record<string, number>>;
    readonly assigned_sessions: number;
    readonly assigned_units: number;
    readonly exposed_sessions: number;
  }[];
  readonly srm: Sample;
}

export interface Interval {
  readonly low: number | null;
  readonly high: number | null;
}

export interface Effect extends Interval {
  readonly variant: string;
  readonly against: string;
  readonly difference: number | null;
  readonly relative: number | null;
  readonly p_value: number | null;
  readonly adjusted_p_value: number | null;
  readonly significant: boolean;
  readonly cuped:
    | (Interval & { readonly difference: number | null; readonly variance_removed: number | null })
    | null;
  readonly sequence: Interval & { readonly difference: number | null; readonly p_value: number | null };
  readonly trajectory: readonly (Interval & { readonly at_ms: number; readonly difference: number | null })[];
}

export interface Metric {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly kind: "mean" | "share";
  readonly better: "higher" | "lower" | "neither";
  readonly primary: boolean;
  readonly definition: string;
  readonly variants: readonly (Interval & {
    readonly variant: string;
    readonly units: number;
    readonly mean: number | null;
  })[];
  readonly effects: readonly Effect[];
}

export interface Fairness {
  readonly minimum_cell: number;
  readonly consented_units: number;
  readonly suppressed_groups: number;
  readonly suppressed_units: number;
  readonly groups: readonly {
    readonly group: string;
    readonly variants: readonly {
      readonly variant: string;
      readonly units: number | null;
      readonly suppressed: boolean;
      readonly metrics: readonly (Interval & {
        readonly name: string;
        readonly title: string;
        readonly unit: string;
        readonly mean: number | null;
      })[];
    }[];
  }[];
  readonly gaps: readonly (Interval & {
    readonly metric: string;
    readonly variant: string;
    readonly group: string;
    readonly difference: number | null;
    readonly adjusted_p_value: number | null;
    readonly significant: boolean;
  })[];
}

export interface ExperimentReport {
  readonly experiment: ExperimentHead;
  readonly generated_at_ms: number;
  readonly confidence: number;
  readonly population: {
    readonly assigned_sessions: number;
    readonly exposed_sessions: number;
    readonly exposed_units: number;
  };
  readonly srm: { readonly assigned: Sample; readonly exposed: Sample };
  readonly metrics: readonly Metric[];
  readonly fairness: Fairness;
  readonly decision: {
    readonly verdict: "better" | "worse" | "undecided" | "invalid";
    readonly text: string;
  };
}
