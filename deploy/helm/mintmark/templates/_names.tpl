{{- define "mintmark.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{ else }}{{ printf "%s-mintmark" .Release.Name | trunc 53 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "mintmark.selector" -}}
app.kubernetes.io/name: mintmark
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mintmark.labels" -}}
{{ include "mintmark.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "mintmark.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "mintmark.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "mintmark.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "mintmark.environment" -}}
{{- $secret := required "secret.name is required: an existing Secret" .Values.secret.name -}}
- { name: MINTMARK_ISSUER, value: {{ required "issuer is required: an https origin" .Values.issuer | quote }} }
- { name: MINTMARK_LISTEN, value: "0.0.0.0:8080" }
- { name: MINTMARK_DATA_DIR, value: /var/lib/mintmark }
{{- with .Values.trustDomain }}
- { name: MINTMARK_TRUST_DOMAIN, value: {{ . | quote }} }
{{- end }}
{{- with .Values.trustedProxies }}
- { name: MINTMARK_TRUSTED_PROXIES, value: {{ . | quote }} }
{{- end }}
{{- with .Values.policyConfigMap }}
- { name: MINTMARK_POLICY, value: /etc/mintmark/policy }
{{- end }}
- name: DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ required "secret.databaseUrlKey is required" .Values.secret.databaseUrlKey }} } }
- name: MINTMARK_KEY_ENCRYPTION_KEY
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ required "secret.keyEncryptionKeyKey is required" .Values.secret.keyEncryptionKeyKey }} } }
{{- with .Values.secret.exchangeDatabaseUrlKey }}
- name: MINTMARK_EXCHANGE_DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ . }} } }
{{- end }}
{{- with .Values.secret.redisUrlKey }}
- name: REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ . }} } }
{{- end }}
{{- with .Values.secret.adminTokenKey }}
- name: MINTMARK_ADMIN_TOKEN
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ . }} } }
{{- end }}
{{- range $name, $value := .Values.environment }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}
